// A complaint's photo made small before it is sent, and its link on the clipboard.

import { announce } from "/static/js/app.js";

const SIDE_MAX_PX = 1600; // the hub keeps 1,280 and takes 4 MB; phones' cameras make more
const QUALITY = 0.85;

const input = document.getElementById("photo");
input?.addEventListener("change", async () => {
  const [file] = input.files;
  if (!file) return;
  try {
    const small = await shrink(file);
    if (small.size >= file.size || input.files[0] !== file) return;
    const holder = new DataTransfer();
    holder.items.add(new File([small], "photo.jpg", { type: "image/jpeg" }));
    input.files = holder.files;
  } catch {
    // not a picture that this browser reads: the hub says so
  }
});

async function shrink(file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, SIDE_MAX_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return await new Promise((done, failed) =>
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no picture"))), "image/jpeg", QUALITY),
  );
}

const copy = document.querySelector("[data-copy-link]");
if (copy && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(location.origin + location.pathname);
    copy.querySelector("[data-copy-word]").textContent = copy.dataset.copiedWord;
    announce(copy.dataset.copiedWord);
  });
}
