"use strict";
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const { images, reasons } = content;
  const key = "lunglens-review-" + content.fingerprint;
  const get = (id) => document.getElementById(id);
  const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);

  // marks: path -> reasons; seen: paths looked at; other: imported lines of films that are not in this study.
  const state = { marks: new Map(), seen: new Set(), other: new Map(), current: 0 };
  let outlineShown = true;

  // --- what is kept between visits

  function keep() {
    const kept = { marks: [...state.marks], seen: [...state.seen], other: [...state.other], current: state.current };
    try {
      localStorage.setItem(key, JSON.stringify(kept));
    } catch {
      say("This browser keeps nothing for this page: save exclude.csv before you close it.");
    }
  }

  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      if (!kept) return;
      state.marks = new Map(kept.marks);
      state.seen = new Set(kept.seen);
      state.other = new Map(kept.other);
      state.current = Math.min(Math.max(0, kept.current | 0), images.length - 1);
    } catch {
      // Not ours, or cut short: begin anew.
    }
  }

  // --- which films are shown

  function fits(image) {
    const marks = get("marks").value;
    const marked = state.marks.has(image.path);
    return (
      (marks === "all" || (marks === "marked") === marked) &&
      (!get("class").value || image.class === get("class").value) &&
      (!get("source").value || image.source === get("source").value)
    );
  }

  function shown() {
    return images.flatMap((image, index) => (fits(image) ? [index] : []));
  }

  function move(step) {
    const list = shown();
    const next = step > 0 ? list.find((index) => index > state.current) : list.findLast((index) => index < state.current);
    go(next ?? state.current, next === undefined ? (step > 0 ? "That was the last one." : "That was the first one.") : "");
  }

  function go(index, message = "") {
    state.current = index;
    keep();
    draw();
    say(message);
  }

  function refilter() {
    const list = shown();
    if (list.length && !list.includes(state.current)) {
      state.current = list.find((index) => index > state.current) ?? list[0];
    }
    keep();
    draw();
  }

  // --- what is seen

  function draw() {
    const list = shown();
    const image = images[state.current];
    // A film that was marked just now stays in view although the filter no longer fits it.
    const empty = !image || !list.length;
    get("picture").hidden = empty || !image.jpeg;
    get("nothing").hidden = !get("picture").hidden;
    get("reasons").querySelectorAll("button").forEach((button) => (button.disabled = empty));
    if (empty) {
      get("nothing").textContent = "No film fits this choice.";
      get("caption").textContent = "";
      get("status").textContent = "";
      get("outline").toggleAttribute("hidden", true);
      get("stage").classList.remove("marked");
    } else {
      drawFilm(image, list);
    }
    const seen = images.filter((film) => state.seen.has(film.path)).length;
    const marked = images.filter((film) => state.marks.has(film.path)).length;
    get("progress").textContent = `${seen} of ${images.length} seen, ${marked} marked`;
  }

  function drawFilm(image, list) {
    const found = state.marks.get(image.path) ?? [];
    state.seen.add(image.path);
    if (image.jpeg) get("picture").src = image.jpeg;
    else get("nothing").textContent = "The study's copy of this film cannot be read.";
    get("picture").alt = `Chest film, class ${image.class}, source ${image.source}`;
    get("outline").firstElementChild.setAttribute("d", image.outline);
    get("outline").toggleAttribute("hidden", !outlineShown || !image.jpeg);
    get("caption").textContent = [image.path, `class ${image.class}`, `source ${image.source}`, image.about]
      .filter(Boolean)
      .join(" · ");
    const place = list.indexOf(state.current);
    const where = place < 0 ? `outside this choice of ${list.length}` : `${place + 1} of ${list.length}`;
    get("status").textContent = `Film ${where}: ${found.length ? "out (" + found.join(", ") + ")" : "stays in"}`;
    get("stage").classList.toggle("marked", found.length > 0);
    for (const button of get("reasons").querySelectorAll("[data-reason]")) {
      button.setAttribute("aria-pressed", found.includes(button.dataset.reason));
    }
    placeOutline();
  }

  // The picture is fitted into the stage; the outline has to lie on the picture, not on the stage.
  function placeOutline() {
    const picture = get("picture");
    const { clientWidth: width, clientHeight: height } = get("stage");
    if (!picture.naturalWidth) return;
    const scale = Math.min(width / picture.naturalWidth, height / picture.naturalHeight);
    const [w, h] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
    const box = { left: (width - w) / 2, top: (height - h) / 2, width: w, height: h };
    for (const [side, value] of Object.entries(box)) get("outline").style[side] = value + "px";
  }

  function say(text) {
    get("message").textContent = text;
  }

  // --- marks

  function toggle(reason) {
    const image = images[state.current];
    const found = state.marks.get(image.path) ?? [];
    const next = found.includes(reason) ? found.filter((one) => one !== reason) : [...found, reason];
    if (next.length) state.marks.set(image.path, next);
    else state.marks.delete(image.path);
    keep();
    draw();
  }

  function clear() {
    state.marks.delete(images[state.current].path);
    keep();
    draw();
  }

  // --- exclude.csv (RFC 4180): image, reason; several reasons are joined by "; "

  function toCsv() {
    const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    const marked = images.filter((image) => state.marks.has(image.path));
    const lines = [...state.other, ...marked.map((image) => [image.path, state.marks.get(image.path).join("; ")])];
    lines.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return [["image", "reason"], ...lines].map((line) => line.map(quoted).join(",") + "\n").join("");
  }

  function fromCsv(text) {
    const rows = [[""]];
    let inside = false;
    const clean = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
    for (let at = 0; at < clean.length; at += 1) {
      const letter = clean[at];
      const row = rows[rows.length - 1];
      if (inside && letter === '"' && clean[at + 1] === '"') {
        row[row.length - 1] += '"';
        at += 1;
      } else if (letter === '"') inside = !inside;
      else if (letter === "," && !inside) row.push("");
      else if (letter === "\n" && !inside) rows.push([""]);
      else row[row.length - 1] += letter;
    }
    return rows.filter((row) => row.some((cell) => cell.trim()));
  }

  function load(text) {
    const [header = [], ...rows] = fromCsv(text);
    const [image, reason] = ["image", "reason"].map((name) => header.map((cell) => cell.trim()).indexOf(name));
    if (image < 0 || reason < 0) return say("This is no exclude.csv: the columns image and reason are missing.");
    // Like curate: a film is named by its path below the data folder, or by its file name alone.
    const paths = new Map(images.map((film) => [film.path, [film.path]]));
    for (const film of images) {
      const name = nameOf(film.path);
      if (name !== film.path) paths.set(name, [...(paths.get(name) ?? []), film.path]);
    }
    let here = 0;
    for (const row of rows) {
      const named = (row[image] ?? "").trim();
      const why = (row[reason] ?? "").trim() || "excluded by hand";
      const films = paths.get(named) ?? [];
      for (const path of films) {
        state.marks.set(path, [...new Set([...(state.marks.get(path) ?? []), ...why.split(/\s*;\s*/).filter(Boolean)])]);
      }
      if (films.length) here += 1;
      else if (named) state.other.set(named, why);
    }
    refilter();
    say(`${rows.length} lines read: ${here} of this study, ${rows.length - here} of films that are not in it (kept in the list).`);
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([toCsv()], { type: "text/csv" }));
    link.download = "exclude.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`exclude.csv saved with ${state.marks.size + state.other.size} films.`);
  }

  // --- keys and buttons

  function toggleOutline() {
    outlineShown = !outlineShown;
    get("toggle").setAttribute("aria-pressed", outlineShown);
    draw();
  }

  function nextFilter() {
    const select = get("marks");
    select.selectedIndex = (select.selectedIndex + 1) % select.length;
    refilter();
    say(`Showing ${select.value === "all" ? "all films" : select.value + " films"}.`);
  }

  const actions = {
    ArrowRight: () => move(1),
    j: () => move(1),
    " ": () => move(1),
    ArrowLeft: () => move(-1),
    k: () => move(-1),
    Home: () => go(shown()[0] ?? state.current),
    End: () => go(shown().at(-1) ?? state.current),
    m: toggleOutline,
    f: nextFilter,
    s: save,
    0: () => get("clear").click(),
    "?": () => get("help").showModal(),
  };
  reasons.forEach((reason, index) => {
    actions[index + 1] = () => get("reasons").querySelectorAll("[data-reason]")[index].click();
  });

  document.addEventListener("keydown", (event) => {
    const busy = get("help").open || event.target.closest("select, input");
    const native = event.key === " " && event.target.closest("button");
    if (busy || native || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key]();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    // After a mouse click, space shall page on, not press the same button again; with the keyboard, focus stays.
    if (button && event.detail) button.blur();
    if (button?.dataset.reason) toggle(button.dataset.reason);
  });
  for (const [id, action] of Object.entries({ clear, save, previous: actions.k, next: actions.j, toggle: toggleOutline })) {
    get(id).addEventListener("click", action);
  }
  get("help-button").addEventListener("click", actions["?"]);
  for (const id of ["marks", "class", "source"]) {
    get(id).addEventListener("change", (event) => {
      refilter();
      event.target.blur();
    });
  }
  get("import").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) load(await file.text());
    event.target.value = "";
    event.target.blur();
  });
  get("picture").addEventListener("load", placeOutline);
  window.addEventListener("resize", placeOutline);

  recall();
  draw();
  document.body.dataset.ready = "yes"; // for whoever drives the page by a program
})();
