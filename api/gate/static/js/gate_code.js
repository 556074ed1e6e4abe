// A VietQR code that the phone itself makes: its text as payments/vietqr writes it (a browser test
// holds the two equal), and its picture.

import { encodeQR } from "/static/vendor/qr.js";

const NAPAS = "A000000727";
const TRANSFER = "QRIBFTTA"; // to an account
const QUIET_MODULES = 4; // ISO/IEC 18004
const SVG = "http://www.w3.org/2000/svg";

/**
 * Write the code that pays a bill once: its reference in the memo, its amount locked.
 * @param {{bin: string, account: string, amountVnd: number, reference: string}} facts
 */
export function writeVietQr({ bin, account, amountVnd, reference }) {
  if (!/^\d{6}$/.test(bin)) throw new RangeError("bin");
  if (!/^[0-9A-Za-z]{1,19}$/.test(account)) throw new RangeError("account");
  if (!Number.isSafeInteger(amountVnd) || amountVnd < 1 || amountVnd > 499_999_999) throw new RangeError("amountVnd");
  if (!/^[0-9A-Z]{1,19}$/.test(reference)) throw new RangeError("reference");
  const beneficiary = object("00", bin) + object("01", account);
  const text =
    object("00", "01") +
    object("01", "12") +
    object("38", object("00", NAPAS) + object("01", beneficiary) + object("02", TRANSFER)) +
    object("53", "704") +
    object("54", String(amountVnd)) +
    object("58", "VN") +
    object("62", object("08", reference)) +
    "6304";
  return text + crc16(text);
}

function object(tag, value) {
  return `${tag}${String(value.length).padStart(2, "0")}${value}`;
}

/** CRC-16 with polynomial 0x1021 and initial value 0xFFFF (EMVCo MPM v1.1, data object 63). */
export function crc16(text) {
  let crc = 0xffff;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc.toString(16).toUpperCase().padStart(4, "0");
}

/** Draw a text as a QR code: an SVG, one unit a module, quiet zone included. */
export function drawQr(text) {
  const rows = encodeQR(text, "raw", { ecc: "medium", border: QUIET_MODULES });
  const size = rows.length;
  const path = rows.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${size} ${size}`);
  picture.setAttribute("shape-rendering", "crispEdges");
  picture.append(shape(`M0 0h${size}v${size}H0z`, "#fff"), shape(path.join(""), "#000"));
  return picture;
}

function shape(path, colour) {
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  drawn.setAttribute("fill", colour);
  return drawn;
}
