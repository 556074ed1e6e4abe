// A photo of the plate: only what lies in the guide frame is kept and sent, so that nothing else
// of the street is.

const FRAME = { width: 0.86, height: 0.42 }; // of what the camera shows; as in gate_screens.css
const SIDE_MAX = 1280; // the hub keeps no more
const QUALITY = 0.82;
const UPLOAD_WITHIN_MS = 20_000;
const QUICK_MS = 3000; // while the live line is down an answer is not waited for long

/**
 * Let the person take a photo, and upload it; without a network an enrolled phone keeps it.
 * @param {string} hint  what to hold into the frame; else the plate
 * @returns {Promise<{hash?: string, id?: string, link: string}|null>} hash: it is at the hub; id: it
 *   is kept here, until its stay is known and there is a network; null where none was taken
 */
export async function takePhoto(gate, hint = "") {
  const picture = await shoot(gate, hint);
  if (!picture) return null;
  const path = `/v1/lots/${gate.lot.id}/photos`;
  const withinMs = gate.isLive ? UPLOAD_WITHIN_MS : QUICK_MS;
  const instead = gate.queue.isReady ? { no_network: () => gate.photos.keep(picture) } : {};
  return gate.attempt(() => gate.hub.post(path, picture, { withinMs }), { instead });
}

async function shoot(gate, hint) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } },
    });
  } catch {
    gate.screens.complain(gate.say("problem.no_camera"));
    return null;
  }
  const dialog = document.getElementById("camera");
  const video = dialog.querySelector("video");
  const line = dialog.querySelector("p");
  line.dataset.usual ??= line.textContent;
  line.textContent = hint || line.dataset.usual;
  video.srcObject = stream;
  await video.play();
  dialog.showModal();
  try {
    return await new Promise((resolve) => {
      dialog.querySelector("[data-shoot]").onclick = async () => resolve(await crop(video));
      dialog.querySelector("[data-no-photo]").onclick = () => resolve(null);
      dialog.onclose = () => resolve(null);
    });
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
    dialog.close();
  }
}

/** Cut out what the frame shows; the video fills its box, so its edges may lie beyond it. */
function crop(video) {
  const box = video.getBoundingClientRect();
  const scale = Math.max(box.width / video.videoWidth, box.height / video.videoHeight);
  const width = (box.width * FRAME.width) / scale;
  const height = (box.height * FRAME.height) / scale;
  const shrink = Math.min(1, SIDE_MAX / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * shrink);
  canvas.height = Math.round(height * shrink);
  canvas.getContext("2d").drawImage(
    video,
    (video.videoWidth - width) / 2,
    (video.videoHeight - height) / 2,
    width,
    height,
    0,
    0,
    canvas.width,
    canvas.height,
  );
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
