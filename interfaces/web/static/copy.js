// The buttons that copy code.

const SHOWN = 2000; // milliseconds for which a button says what has happened

const announced = document.getElementById("announced");

async function copy(button) {
  const code = button.closest(".code").querySelector("code").textContent;
  const said = await navigator.clipboard.writeText(code).then(() => "Copied", () => "Not copied");
  button.textContent = said;
  announced.textContent = said;
  setTimeout(() => {
    button.textContent = "Copy";
    announced.textContent = "";
  }, SHOWN);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".copy");
  if (button) {
    copy(button);
  }
});
