// The picture of a tweet with its boxes, and all that the stores say of it. Texts of a corpus only
// ever become text nodes and attributes, never markup.

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const CROP_PX = 64;
const MOST_CROP_PX = 150;

function place(element, left, top, width, height, unit) {
  Object.assign(element.style, {
    left: left + unit,
    top: top + unit,
    width: width + unit,
    height: height + unit,
  });
  return element;
}

function score(value) {
  return value === null || value === undefined ? "" : ` (${value.toFixed(2)})`;
}

// What an image is: a picture with boxes, or the reason why there is none.
function pictureOf(imageId, record) {
  if (!record) return make("p", { class: "no-picture" }, "No image data: --gallery was not given.");
  if (record.status !== "ok") {
    const reason = record.reason && record.reason !== record.status ? `: ${record.reason}` : "";
    return make("p", { class: "no-picture" }, `No picture, ${record.status.replace("_", " ")}${reason}`);
  }
  if (!record.thumbnail) {
    return make("p", { class: "no-picture" }, `Image not embedded: ${record.path}`);
  }
  const image = make("img", { src: record.thumbnail, alt: `image ${imageId}`, loading: "lazy" });
  const frame = make("div", { class: "picture" }, image);
  const [height, width] = record.size;
  let number = 0;
  for (const boxes of Object.values(record.boxes || {})) {
    for (const entry of boxes) {
      const [x1, y1, x2, y2] = entry.box;
      number += 1;
      const box = make("span", { class: "box", "data-number": number, "aria-hidden": "true" }, make("b", {}, String(number)));
      place(box, (100 * x1) / width, (100 * y1) / height, (100 * (x2 - x1)) / width, (100 * (y2 - y1)) / height, "%");
      frame.append(box);
    }
  }
  return frame;
}

// A part of the thumbnail, cut out by a window over it.
function cropOf(record, box) {
  const [height, width] = record.size;
  const [x1, y1, x2, y2] = box;
  const scale = Math.min(CROP_PX / Math.max(y2 - y1, 1), MOST_CROP_PX / Math.max(x2 - x1, 1));
  const image = make("img", { src: record.thumbnail, alt: "", loading: "lazy" });
  place(image, -x1 * scale, -y1 * scale, width * scale, height * scale, "px");
  const crop = make("span", { class: "crop" }, image);
  Object.assign(crop.style, { width: `${(x2 - x1) * scale}px`, height: `${(y2 - y1) * scale}px` });
  return crop;
}

// Lines "store: what it says", and why a store says nothing.
function factsOf(record) {
  const list = make("dl", { class: "facts" });
  const say = (name, ...children) => list.append(make("dt", {}, name), make("dd", {}, ...children));
  let number = 0;
  for (const [store, boxes] of Object.entries((record && record.boxes) || {})) {
    const items = boxes.map((entry) => {
      number += 1;
      const crop = record.thumbnail ? [cropOf(record, entry.box)] : [];
      return make("li", { "data-number": number }, ...crop, make("span", {}, `${number} ${entry.text}${score(entry.score)}`));
    });
    say(store, make("ul", { class: "crops" }, ...items));
  }
  for (const [store, captions] of Object.entries((record && record.captions) || {})) {
    say(store, captions.join(" | "));
  }
  for (const [store, words] of Object.entries((record && record.ocr) || {})) {
    const parts = words.map((word) => make("span", { class: "word" }, `${word.text}${score(word.score)}`));
    say(store, ...parts.flatMap((part, i) => (i ? [" ", part] : [part])));
  }
  for (const [store, reason] of Object.entries((record && record.notes) || {})) {
    say(store, make("em", {}, reason));
  }
  return list;
}

// Everything about an image that a search may find, in lower case.
function textOfImage(record) {
  if (!record) return "";
  const boxes = Object.values(record.boxes || {}).flat();
  const words = Object.values(record.ocr || {}).flat();
  const captions = Object.values(record.captions || {}).flat();
  return [...boxes.map((b) => b.text), ...words.map((w) => w.text), ...captions].join(" ").toLowerCase();
}
