"use strict";
(() => {
  const gallery = document.getElementById("gallery");
  if (!gallery) return;
  const large = document.getElementById("large");
  const stage = document.getElementById("stage");
  const pictures = () => [...gallery.querySelectorAll(".picture")];
  const button = (picture) => picture.querySelector(".open");

  for (const box of document.querySelectorAll("[data-show]")) {
    const show = () => {
      for (const part of [gallery, stage]) part.classList.toggle("show-" + box.dataset.show, box.checked);
    };
    box.addEventListener("change", show);
    show();
  }
  document.getElementById("order").addEventListener("change", (event) => {
    const byName = event.target.value === "name";
    const text = (picture) => picture.dataset.name;
    const order = pictures().sort((a, b) =>
      byName ? text(a).localeCompare(text(b), undefined, { numeric: true }) : a.dataset.place - b.dataset.place);
    gallery.append(...order);
  });

  // The enlarged picture: a part of it is shown, as [left, top, width, height] in its own pixels.
  let current = null, whole = null, part = null, frame = 0;
  const draw = () => {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      const svg = stage.firstElementChild;
      if (!svg) return;
      svg.setAttribute("viewBox", part.join(" "));
      // Marks and names keep their size on the screen.
      svg.style.setProperty("--zoom", part[2] / whole[2]);
    });
  };
  const open = (picture) => {
    current = picture;
    const svg = picture.querySelector("svg").cloneNode(true);
    stage.replaceChildren(svg);
    whole = svg.getAttribute("viewBox").split(" ").map(Number);
    part = [...whole];
    document.getElementById("large-name").textContent = picture.dataset.name;
    document.getElementById("large-text").textContent = picture.querySelector("figcaption").textContent;
    if (!large.open) large.showModal();
  };
  const step = (by) => {
    const all = pictures();
    const next = all[all.indexOf(current) + by];
    if (next) open(next);
  };
  const zoom = (factor, x = part[0] + part[2] / 2, y = part[1] + part[3] / 2) => {
    const width = Math.min(Math.max(part[2] * factor, whole[2] / 40), whole[2]);
    const real = width / part[2];
    part = [x - (x - part[0]) * real, y - (y - part[1]) * real, width, part[3] * real];
    move(0, 0);
  };
  const move = (x, y) => {
    const within = (value, size, start, all) => Math.min(Math.max(value, start), start + all - size);
    part[0] = within(part[0] + x, part[2], whole[0], whole[2]);
    part[1] = within(part[1] + y, part[3], whole[1], whole[3]);
    draw();
  };
  // Pixels of the picture for a pixel of the screen.
  const scale = () => Math.max(part[2] / stage.clientWidth, part[3] / stage.clientHeight);

  gallery.addEventListener("click", (event) => {
    const picture = event.target.closest(".picture");
    if (picture && event.target.closest(".open")) open(picture);
  });
  large.addEventListener("click", (event) => {
    const action = event.target.dataset.do;
    if (action === "close" || event.target === large) large.close();
    if (action === "in") zoom(1 / 1.5);
    if (action === "out") zoom(1.5);
    if (action === "next") step(1);
    if (action === "before") step(-1);
  });
  large.addEventListener("close", () => { if (current) button(current).focus(); });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    const x = part[0] + part[2] / 2 + (event.clientX - box.left - box.width / 2) * scale();
    const y = part[1] + part[3] / 2 + (event.clientY - box.top - box.height / 2) * scale();
    zoom(event.deltaY < 0 ? 1 / 1.2 : 1.2, x, y);
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => stage.setPointerCapture(event.pointerId));
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) move(-event.movementX * scale(), -event.movementY * scale());
  });
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("select,input")) return;
    const far = part ? part[2] / 10 : 0;
    const inside = {
      j: () => step(1), k: () => step(-1), "+": () => zoom(1 / 1.5), "=": () => zoom(1 / 1.5), "-": () => zoom(1.5),
      ArrowLeft: () => move(-far, 0), ArrowRight: () => move(far, 0), ArrowUp: () => move(0, -far), ArrowDown: () => move(0, far),
    };
    const go = (by) => {
      const all = pictures();
      const at = all.indexOf(document.activeElement.closest(".picture"));
      const next = all[at < 0 ? 0 : at + by];
      if (next) button(next).focus();
    };
    const outside = { j: () => go(1), k: () => go(-1) };
    const action = (large.open ? inside : outside)[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  });
})();
