// The work list, the finding, and everything that talks to the server. All text goes in as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const viewer = new Viewer($("canvas"), () => showSettings()), beside = new Viewer($("canvas-beside"), () => showSettings());
const analyses = new Map(); // id -> what the server last said, in the order of the uploads
let current = null, about = null, watching = false, prevalence = "5", language = "en", token = sessionStorage.getItem("token");
const UNDONE = ["queued", "running"];
// The name of this browser's work list: whoever knows it sees the list, so it is random, and no part of an address.
const worklist = localStorage.getItem("worklist") ?? btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(24)))).replace(/\+/g, "-").replace(/\//g, "_");
localStorage.setItem("worklist", worklist);

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function ask(path, options = {}) {
  for (;;) {
    const headers = { "lunglens-list": worklist, ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(path, { ...options, headers });
    if (response.status !== 401) return response;
    $("login-said").textContent = token ? "That was not the token." : "";
    token = await askForToken();
  }
}

function askForToken() {
  const dialog = $("login");
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    sessionStorage.setItem("token", $("token").value);
    resolve($("token").value);
  }, { once: true }));
}

// What the classifier tells apart, in words; of two classes the first is the positive one, of more the decided one counts.
const wordsOf = (name) => about.classifier.classes.find((one) => one.name === name)?.words ?? name;  // "cannot tell" is no class
const isBinary = () => about.classifier.classes.length === 2;
const prevalenceShare = () => Math.min(0.999, Math.max(0.001, Number(prevalence) / 100 || 0.05));
const shownClass = ({ probabilities }) => isBinary() ? about.classifier.classes[0].name : Object.keys(probabilities).reduce((best, name) => probabilities[name] > probabilities[best] ? name : best);
const headline = (result) => `${wordsOf(shownClass(result))} ${percent(result.probabilities[shownClass(result)])}`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const say = (text) => { $("status").textContent = text; };

// ---- sending films

async function send(files) {
  const kept = [...files].filter((file) => !file.name.startsWith("."));
  if (!kept.length) return;
  await ready;
  say(`Sending ${kept.length} file${kept.length > 1 ? "s" : ""} ...`);
  const problems = [];
  const most = Math.min(20, about.limits.most_films);
  for (let at = 0; at < kept.length; at += most) {
    const form = new FormData();
    for (const file of kept.slice(at, at + most)) form.append("files", file, file.name);
    problems.push(...await sendSome(form));
  }
  say(problems.length ? problems.map(({ label, reason }) => `${label}: ${reason}`).join("; ") : "");
}

async function sendSome(form) {
  for (;;) {
    let response;
    try { response = await ask("/api/analyses", { method: "POST", body: form }); } catch (error) { return [{ label: "not sent", reason: String(error) }]; }
    if (response.status === 503) {
      say("The server is busy; trying again ...");
      await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(response.headers.get("retry-after")) || 2)));
      continue;
    }
    const answer = await response.json();
    for (const analysis of answer.analyses || []) take(analysis);
    watch();
    if (!response.ok) return answer.problems.length ? answer.problems : [{ label: "not taken", reason: answer.detail }];
    return answer.problems;
  }
}

// One film after the other, as the server does them: a browser has few connections, and pictures need them too.
async function watch() {
  if (watching) return;
  watching = true;
  for (;;) {
    const next = [...analyses.values()].filter(({ state }) => UNDONE.includes(state)).sort((one, other) => (one.place ?? 0) - (other.place ?? 0))[0];
    if (!next) break;
    let response;
    try { response = await ask(`/api/analyses/${next.id}?wait=5`); } catch { await new Promise((resolve) => setTimeout(resolve, 2000)); continue; }
    const now = response.ok ? await response.json() : { ...next, state: "failed", reason: (await response.json()).detail };
    if (!analyses.has(next.id)) continue;
    take(now);
    if (!UNDONE.includes(now.state) && (current === null || current === now.id)) choose(now.id);
    await refresh(UNDONE).catch(() => {});
  }
  watching = false;
}

// What the server has of this list: all of it, or that in these states.
async function refresh(states = []) {
  const response = await ask(`/api/analyses?limit=1000${states.map((state) => `&state=${state}`).join("")}`);
  if (response.ok) for (const analysis of (await response.json()).analyses) if (!states.length || analyses.has(analysis.id)) take(analysis);
}

function take(analysis) {
  const before = analyses.get(analysis.id);
  if (before && !UNDONE.includes(before.state) && UNDONE.includes(analysis.state)) return;  // an answer that was overtaken
  analyses.set(analysis.id, { ...analysis, expires: analysis.kept_s === undefined || analysis.kept_s === null ? null : Date.now() + 1000 * analysis.kept_s });
  if (!before) addToList(analysis);
  showInList(analysis);
  if (analysis.pictures?.includes("thumb") && !before?.pictures?.includes("thumb")) showThumbnail(analysis);
  showProgress();
}

function showProgress() {
  const all = [...analyses.values()], done = all.filter(({ state }) => !UNDONE.includes(state)).length;
  $("listed").hidden = !all.length;
  $("progress").textContent = `${done} of ${all.length} done`;
  offerOthers();
  arrange();
}

// The films whose name holds what is searched for, in the order that is asked for.
function arrange() {
  const by = { come: () => 0, name: ({ label }) => label.toLowerCase(), state: ({ state }) => state, probability: ({ result }) => -(result?.probabilities?.[about.classifier.classes[0].name] ?? -1) }[$("sort").value];
  const wanted = $("search").value.toLowerCase(), shown = [...analyses.values()];
  if ($("sort").value !== "come") shown.sort((one, other) => by(one) < by(other) ? -1 : by(one) > by(other) ? 1 : 0);
  let at = $("list").firstElementChild;
  for (const { id, label } of shown) {
    const item = $(`film-${id}`).parentElement;
    item.hidden = !label.toLowerCase().includes(wanted);
    if (item === at) at = at.nextElementSibling;
    else $("list").insertBefore(item, at);  // only what is out of place is moved: a move takes the focus away
  }
}

const shownIds = () => [...$("list").children].filter((item) => !item.hidden).map((item) => item.firstChild.id.slice("film-".length));

const layersOf = ({ pictures }) => pictures.filter((name) => name !== "panel" && name !== "thumb");

async function pictureOf(id, name) {
  const response = await ask(`/api/analyses/${id}/pictures/${name}`);
  return response.ok ? createImageBitmap(await response.blob()) : null;
}

// ---- work list

function addToList(analysis) {
  const item = element("li"), button = element("button", undefined, { type: "button", id: `film-${analysis.id}` });
  button.append(element("span", undefined, { class: "thumb", "aria-hidden": "true" }), element("span"));
  button.lastChild.append(element("b", analysis.label, { title: analysis.label }), element("small"));
  button.addEventListener("click", () => go(analysis.id));
  item.append(button);
  $("list").append(item);
}

function showInList({ id, state, result, reason, place }) {
  const small = $(`film-${id}`).querySelector("small");
  small.className = state;
  small.textContent = state === "analyzed" ? headline(result) : place ? `${state}, number ${place}` : state;
  small.title = reason || "";
}

async function showThumbnail({ id }) {
  const response = await ask(`/api/analyses/${id}/pictures/thumb`);
  if (!response.ok) return;
  const image = element("img", undefined, { alt: "" });
  image.src = URL.createObjectURL(await response.blob());
  image.onload = () => URL.revokeObjectURL(image.src);
  $(`film-${id}`).firstChild.replaceWith(image);
}

function step(by) {
  const ids = shownIds();
  if (ids.length) go(ids[(Math.max(0, ids.indexOf(current)) + by + ids.length) % ids.length], true);
}

// A film has an address of its own, so that reload, back and forward find it.
function go(id, focus = false) {
  if (id !== current) history.pushState(null, "", `#${id}`);
  choose(id, focus);
}

function chooseByAddress() {
  const id = location.hash.slice(1);
  if (analyses.has(id)) choose(id);
  else if (id) expired("This film is not on your list: it was deleted, or its time was over.");
}
addEventListener("popstate", chooseByAddress);
document.addEventListener("visibilitychange", () => { if (!document.hidden) ready.then(() => refresh()).then(watch).catch(() => {}); });

function expired(said) {
  current = null;
  showBeside("");
  viewer.open(null, {});
  $("film-title").textContent = "No film";
  $("tools").hidden = true;
  $("empty").hidden = false;
  $("empty").textContent = said;
  $("answer").replaceChildren(element("p", said, { class: "muted" }));
}

// ---- one film

async function choose(id, focus = false) {
  current = id;
  if (location.hash !== `#${id}`) history.replaceState(null, "", `#${id}`);
  for (const button of $("list").querySelectorAll("button")) button.setAttribute("aria-current", String(button.id === `film-${id}`));
  if (focus) $(`film-${id}`).focus();
  const analysis = analyses.get(id);
  $("film-title").textContent = analysis.label;
  showFinding(analysis);
  offerOthers();
  showBeside("");
  viewer.open(null, {}); // never one film's picture beside another film's finding
  $("tools").hidden = true;
  $("empty").hidden = false;
  $("empty").textContent = "Loading ...";
  const names = layersOf(analysis);
  let found;
  try { found = await Promise.all(names.map((name) => pictureOf(id, name))); } catch { found = null; }
  if (current !== id) return;
  if (found?.length && found.every((picture) => picture === null)) { drop(id); expired(`${analysis.label}: its time was over, and the server has deleted it.`); return; }
  if (!found) { $("empty").textContent = "The pictures could not be loaded."; return; }
  const pictures = Object.fromEntries(names.map((name, at) => [name, found[at]]));
  viewer.open(id, pictures, sizeOf(analysis.result));
  showSettings();
  setTimeout(() => deepen(viewer, id), 300);  // not for films that are only passed by
  $("legend").textContent = legendOf(analysis.result);
  $("tools").hidden = names.length === 0;
  $("empty").hidden = names.length > 0;
  $("empty").textContent = names.length ? "" : "There is no picture of this file.";
  for (const [control, picture] of [["heat", "heat"], ["grades", "grades"], ["cut", "seen"], ["outline", "lungs"]]) $(control).disabled = !names.includes(picture);
  $("across").disabled = !analysis.result?.cardiothoracic;
  $("canvas").setAttribute("aria-label", analysis.state === "analyzed" ? `The film ${analysis.label} with the outline of its lungs and the heat-map` : `The film ${analysis.label}`);
}

// As the viewer takes it; the size that is given is that of the film as it is stored.
function sizeOf(result) {
  if (!result) return {};
  const { film, orientation } = result, sides = [film.width_px, film.height_px];
  if (orientation.turned_degrees_clockwise % 180) sides.reverse();
  return { width: sides[0], height: sides[1], across: result.cardiothoracic, mm: film.spacing_mm ? film.spacing_mm[0] : null };
}

// The film's own values, all bits of them, in place of its picture of 8.
async function deepen(where, id) {
  if (where.id !== id || where.stored || !analyses.get(id)?.result) return;
  const response = await ask(`/api/analyses/${id}/stored.bin`).catch(() => null);
  if (!response?.ok) return;  // the picture does too
  const bytes = await response.arrayBuffer();
  if (where.id !== id) return;
  where.deepen(bytes);
  showSettings();
}

// ---- two films beside each other

function offerOthers() {
  const others = [...analyses.values()].filter(({ id, pictures }) => id !== current && pictures?.includes("film"));
  const chosen = $("beside").value;
  $("beside").replaceChildren(element("option", "nothing", { value: "" }), ...others.map(({ id, label }) => element("option", label, { value: id })));
  $("beside").value = chosen === current ? "" : chosen;
  $("beside").parentElement.hidden = !others.length;
}

async function showBeside(id) {
  $("beside").value = id;
  viewer.link(null);
  beside.open(null, {});
  $("view-beside").hidden = !id;
  if (!id) return;
  const { label, result } = analyses.get(id), wanted = layersOf(analyses.get(id));
  const found = await Promise.all(wanted.map((name) => pictureOf(id, name))).catch(() => []);
  if ($("beside").value !== id || !found[0]) return;
  beside.open(null, Object.fromEntries(wanted.map((name, at) => [name, found[at]])), sizeOf(result));
  beside.id = id;
  viewer.link(beside);
  $("canvas-beside").setAttribute("aria-label", `The film ${label}, beside the other one and moved with it`);
  deepen(beside, id);
}
$("beside").addEventListener("change", () => showBeside($("beside").value));


function legendOf(result) {
  if (result?.status !== "analyzed") return "";
  return [viewer.pictures.heat && legendOfHeat(result), viewer.pictures.grades && "Infiltrates: dark to yellow is a Brixia grade of 0 to 3, estimated as of a COVID-19 pneumonia."].filter(Boolean).join(" ");
}

function legendOfHeat(result) {
  const words = wordsOf(shownClass(result)), scale = result.heat_full_log_odds ? `full colour is ${result.heat_full_log_odds} log odds, on every film` : "full colour is the strongest of this film";
  const below = isBinary() && result.probabilities[shownClass(result)] < result.threshold ? " The film is below the threshold." : "";
  return `Heat: dark to yellow is less to more evidence for ${words}; ${scale}.${below}`;
}

function showFinding(analysis) {
  const { result, state, reason } = analysis;
  $("spoken").textContent = `${analysis.label}: ${state === "analyzed" ? `${headline(result)}, decision: ${wordsOf(result.decision)}` : state}`;
  const parts = [];
  if (state === "refused" || state === "failed") {
    const box = element("div", undefined, { class: "box" });
    box.append(element("strong", state === "refused" ? "Refused: " : "Failed: "), element("span", reason || "no reason was given"));
    parts.push(box, element("p", "No lungs, no heat-map and no probability are given for this film.", { class: "muted" }));
  } else if (state === "analyzed") {
    parts.push(...answerOf(result));
  } else {
    parts.push(element("p", `The film is ${state}.`, { class: "muted" }));
  }
  if (result) parts.push(...factsOf(result));
  parts.push(...exportsOf(analysis));
  $("answer").replaceChildren(...parts);
}

function answerOf(result) {
  const { decision, probabilities, threshold } = result, first = about.classifier.classes[0].name;
  const why = (result.withheld ?? []).map((reason) => about.classifier.reasons[reason]).join("; ");
  const how = why || (threshold === null ? "the most probable class" : `threshold ${percent(threshold)}`);
  return [
    ...(isBinary() ? oneProbability(first, probabilities[first], threshold, probabilities[first] >= threshold) : allProbabilities(result)),
    element("p", `Decision: ${wordsOf(decision)} (${how})`, { id: "decision" }),
    ...(result.opacity ? opacityOf(result.opacity) : []),
    element("p", worthOf(probabilities[first]), { class: "muted", id: "worth" }),
  ];
}

// The probability at the reader's prevalence, by Bayes' theorem.
function worthOf(probability) {
  const held = about.classifier.holds_at, share = prevalenceShare();
  if (held === null) return "It holds for the balance of classes in training, not for your patients.";
  const odds = share / (1 - share) * (1 - held) / held, moved = odds * probability / (odds * probability + 1 - probability);
  return `Where ${+(100 * share).toPrecision(3)} % of the patients have ${about.classifier.classes[0].words}, the probability is ${percent(moved)}.`;
}

function meterOf(share, isOver) {
  const meter = element("div", undefined, { class: isOver ? "meter over" : "meter", "aria-hidden": "true" }), fill = element("i");
  fill.style.width = `${100 * share}%`;
  meter.append(fill);
  return meter;
}

function oneProbability(name, probability, threshold, isOver) {
  const meter = meterOf(probability, isOver), mark = element("b"), text = element("span", `threshold ${percent(threshold)}`);
  mark.style.left = text.style.left = `${100 * threshold}%`;
  meter.append(mark, text);
  return [element("p", `Probability of ${wordsOf(name)}`, { class: "muted" }), element("p", percent(probability), { class: "big", id: "probability" }), meter];
}

function opacityOf({ probability, threshold, decision }) {
  const kind = decision === "yes" ? "; its kind is uncertain" : "", said = `Any opacity: ${percent(probability)}, ${decision} (threshold ${percent(threshold)})${kind}`;
  return [meterOf(probability, decision === "yes"), element("p", said, { id: "opacity" })];
}

function allProbabilities({ decision, probabilities }) {
  const list = element("ul", undefined, { class: "classes", id: "probabilities", "aria-label": "Probabilities" });
  for (const { name, words } of about.classifier.classes) {
    const item = element("li", undefined, name === decision ? { class: "decided" } : {});
    item.append(element("span", words), element("b", percent(probabilities[name])), meterOf(probabilities[name], name === decision));
    list.append(item);
  }
  return [list];
}

function factsOf(result) {
  const list = element("dl");
  const add = (name, text) => { if (text) list.append(element("dt", name), element("dd", text)); };
  const lung = (side) => side && (side.area_cm2 === null ? `${side.area_px.toLocaleString("en")} px` : `${side.area_cm2.toFixed(0)} cm²`) + ` (${percent(side.share_of_film)} of the film)`;
  add("Right lung", lung(result.lungs.right));
  add("Left lung", lung(result.lungs.left));
  if (result.lungs.plane === "detector") add("Areas", "in the detector plane, magnified");
  if (result.cardiothoracic) add("Heart", `cardiothoracic ratio ${result.cardiothoracic.ratio.toFixed(2)}${result.projection?.name === "AP" ? "; on an AP film the heart is magnified" : ""}`);
  if (result.severity) {
    const { zones, sum, sum_95_interval: [low, high] } = result.severity, of = (letters) => [...letters].map((zone) => zones[zone].toFixed(1)).join(", ");
    add("Brixia score", `estimated, if it is COVID-19: ${sum.toFixed(0)} of 18 (95 %: ${low.toFixed(0)} to ${high.toFixed(0)}); right lung ${of("ABC")}, left ${of("DEF")} from above, 0 to 3 each`);
  }
  if (result.heat_full_log_odds) add("Heat", `from the lungs alone, for ${wordsOf(shownClass(result))}; full colour is ${result.heat_full_log_odds} log odds`);
  else if (result.heat_share_in_lungs !== null) add("Heat in lungs", `${percent(result.heat_share_in_lungs)} of that for ${wordsOf(shownClass(result))}; even would be ${percent(result.lung_region_share_of_view)}`);
  const side = result.projection ? `, taken ${result.projection.name} by its ${result.projection.stated_by_header ? "header" : "pixels"}` : "";
  add("Gate", `score ${result.gate.frontal_score.toFixed(3)}${side}${result.gate.polarity_inverted ? ", polarity corrected" : ""}`);
  const film = result.film;
  add("Film", [film.format, `${film.width_px} x ${film.height_px} px`, `${film.bits} bit`, film.view && `view ${film.view}`].filter(Boolean).join(", "));
  add("Models", Object.values(result.models).join(", "));
  add("Version", result.lunglens_version);
  const parts = [list];
  if (result.warnings.length) {
    const warnings = element("ul", undefined, { class: "warnings", "aria-label": "Warnings" });
    warnings.append(...result.warnings.map((text) => element("li", text)));
    parts.unshift(element("h3", "Warnings"), warnings);
  }
  if (result.film.notes.length) {  // that the film is shown mirrored or turned, say
    const notes = element("ul", undefined, { class: "notes", "aria-label": "Notes on the film" });
    notes.append(...result.film.notes.map((text) => element("li", text)));
    parts.push(element("h3", "Notes on the film"), notes);
  }
  return parts;
}

function exportsOf(analysis) {
  const parts = [element("h3", "Report and export")], row = element("div", undefined, { class: "row" });
  if (analysis.result) {
    if (about.classifier.measured || about.classifier.holds_at !== null) {  // the report, or the probability, reckons with it
      const label = element("label", `Prevalence of ${about.classifier.classes[0].words} among your patients, % `), input = element("input", undefined, { type: "number", id: "prevalence", min: "0.1", max: "99.9", step: "any", value: prevalence });
      input.addEventListener("input", () => {
        prevalence = input.value;
        if ($("worth") && isBinary()) $("worth").textContent = worthOf(analysis.result.probabilities[about.classifier.classes[0].name]);
      });
      label.append(input);
      parts.push(label);
    }
    const languages = element("select", undefined, { id: "language" }), ofReport = element("label", "Report in ");
    languages.append(...Object.entries(about.languages).map(([code, name]) => element("option", name, { value: code, lang: code })));
    languages.value = language;
    languages.addEventListener("change", () => { language = languages.value; });
    ofReport.append(languages);
    parts.push(ofReport);
    const offer = (text, path, name) => { const button = element("button", text, { type: "button" }); button.addEventListener("click", () => save(path(), name)); row.append(button); };
    const base = `/api/analyses/${analysis.id}`;
    const open = element("button", "Open report", { type: "button", id: "open-report" });
    // Opened by its own address, for a page that is handed over would have this page's policy. That sends no token.
    const query = () => `?prevalence=${prevalenceShare()}&language=${language}`, report = () => `${base}/report.html${query()}`;
    open.addEventListener("click", () => token ? save(report(), "report.html") : window.open(report(), "_blank", "noopener"));
    row.append(open);
    offer("PDF", () => `${base}/report.pdf${query()}`, "report.pdf");
    offer("PNG", () => `${base}/pictures/panel`, "panel.png");
    offer("JSON", () => base, "result.json");
    if (about.dicom && analysis.result.film.format === "DICOM") offer("DICOM", () => `${base}/dicom.zip`, "dicom.zip");
  }
  const isWaiting = UNDONE.includes(analysis.state), remove = element("button", isWaiting ? "Cancel" : "Delete now", { type: "button" });
  remove.addEventListener("click", () => forget(analysis.id));
  row.append(remove);
  if (isWaiting) return [row];
  const minutes = Math.max(0, Math.round((analysis.expires - Date.now()) / 60000)), left = minutes > 120 ? `${Math.round(minutes / 60)} hours` : `${minutes} minutes`;
  return [...parts, row, element("p", `Film and results are deleted in ${left}.`, { class: "muted", id: "left" })];
}

async function blobOf(path) {
  const response = await ask(path);
  if (response.ok) return response.blob();
  say((await response.json()).detail);
  return null;
}

async function save(path, name) {
  const blob = await blobOf(path);
  if (!blob) return;
  const link = element("a", undefined, { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function forget(id) {
  await ask(`/api/analyses/${id}`, { method: "DELETE" });
  drop(id);
  expired("The film is deleted.");
  step(0);
}

function drop(id) {
  analyses.delete(id);
  viewer.forget(id);
  if (beside.id === id) showBeside("");
  $(`film-${id}`)?.parentElement.remove();
  showProgress();
}

$("search").addEventListener("input", arrange);
$("sort").addEventListener("change", arrange);
$("save-all").addEventListener("click", () => save("/api/analyses/results.zip", "results.zip"));
$("clear-all").addEventListener("click", () => {
  $("clear-said").textContent = `${analyses.size} film${analyses.size > 1 ? "s" : ""} and all results are deleted at once, those that wait are not begun.`;
  $("clear").returnValue = "";
  $("clear").showModal();
});
$("clear").addEventListener("close", async () => {
  if ($("clear").returnValue !== "yes") return;
  await ask("/api/analyses", { method: "DELETE" });
  for (const id of [...analyses.keys()]) drop(id);
  expired("All films are deleted.");
});

// ---- controls

function control(id, value) {
  const input = $(id);
  const apply = () => { viewer.set(id, value(input)); showSettings(); };
  input.addEventListener("input", apply);
  return (by) => { if (input.type === "checkbox") input.checked = !input.checked; else input.value = Number(input.value) + by; apply(); };
}

const share = (input) => Number(input.value) / 100, checked = (input) => input.checked;

// The controls as the film that is shown was left.
function showSettings() {
  for (const name of ["window", "level", "heat", "grades", "cut"]) { $(name).value = 100 * viewer.settings[name]; $(`${name}-value`).textContent = `${Math.round(100 * viewer.settings[name])} %`; }
  if (viewer.stored) {
    const { window, level } = viewer.settings, half = Math.abs(viewer.valueShownAs(0.75) - viewer.valueShownAs(0.25));
    $("window-value").textContent += `, ${+(2 * half * window).toPrecision(4)}`;
    $("level-value").textContent += `, ${+viewer.valueShownAs(level).toPrecision(4)}`;
  }
  for (const name of ["outline", "invert", "magnifier", "across"]) $(name).checked = viewer.settings[name];
  const now = `${$("window").value} ${$("level").value}`;
  $("preset").value = [...$("preset").options].some(({ value }) => value === now) ? now : "";
}

const change = { window: control("window", share), level: control("level", share), heat: control("heat", share), grades: control("grades", share), cut: control("cut", share), outline: control("outline", checked), invert: control("invert", checked), magnifier: control("magnifier", checked), across: control("across", checked) };
const keys = {
  j: () => step(1), k: () => step(-1), "+": () => viewer.zoomBy(1.25), "-": () => viewer.zoomBy(0.8), 0: () => viewer.fit(), 1: () => viewer.fullSize(), t: () => viewer.turn(), f: () => viewer.flip(), m: () => change.magnifier(), s: () => fullScreen(), r: () => $("reset").click(),
  o: () => change.outline(), i: () => change.invert(), h: () => change.heat(10), g: () => change.heat(-10), b: () => change.grades(10), v: () => change.grades(-10), c: () => change.cut(10), x: () => change.cut(-10),
  w: () => change.window(-10), e: () => change.window(10), l: () => change.level(-5), d: () => change.level(5), "?": () => $("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  const typing = !$("letter-keys").checked || event.target.matches("input[type=number], input[type=password], input[type=search], select") || document.querySelector("dialog[open]");
  if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey && keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
$("zoom-in").addEventListener("click", () => viewer.zoomBy(1.25));
$("zoom-out").addEventListener("click", () => viewer.zoomBy(0.8));
$("fit").addEventListener("click", () => viewer.fit());
$("full-size").addEventListener("click", () => viewer.fullSize());
$("turn").addEventListener("click", () => viewer.turn());
$("flip").addEventListener("click", () => viewer.flip());
$("clear-lines").addEventListener("click", () => viewer.clearLines());
$("reset").addEventListener("click", () => { viewer.reset(); showSettings(); });
$("drag").addEventListener("change", () => { viewer.drag = beside.drag = $("drag").value; });
$("preset").addEventListener("change", () => {
  if (!$("preset").value) return;
  const [window, level] = $("preset").value.split(" ");
  viewer.set("window", window / 100);
  viewer.set("level", level / 100);
  showSettings();
});
const fullScreen = () => document.fullscreenElement ? document.exitFullscreen() : $("viewer").requestFullscreen();
$("full-screen").addEventListener("click", fullScreen);
for (const name of ["work", "finding"]) $(`fold-${name}`).addEventListener("click", () => {
  const isFolded = document.querySelector("main").classList.toggle(`no-${name}`);
  $(name).hidden = isFolded;
  $(`fold-${name}`).setAttribute("aria-expanded", String(!isFolded));
});
$("show-help").addEventListener("click", () => $("help").showModal());
$("show-limits").addEventListener("click", () => $("limits").showModal());
for (const id of ["files", "folder"]) $(id).addEventListener("change", (event) => { send(event.target.files); event.target.value = ""; });

// ---- dropping files and folders

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const child of some) found.push(...await filesOf(child));
  }
}

for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.toggle("over", name === "dragover"); });
document.addEventListener("drop", async (event) => {
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  send(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : event.dataTransfer.files);
});

const ready = (async () => {
  about = await (await ask("/api/about")).json();
  language = navigator.languages.map((tag) => tag.slice(0, 2)).find((code) => code in about.languages) ?? "en";
  $("notice").textContent = about.notice;
  const { name, version, classes, threshold, intended_use } = about.classifier;
  const decides = threshold === null ? "" : `, decided at ${percent(threshold)}`;
  $("model").textContent = `Told apart: ${classes.map(({ words }) => words).join(", ")}${decides}. Model: ${name} ${version}.`;
  $("use").textContent = intended_use || "The model's card does not say what it is for.";
  for (const [name, card] of Object.entries(about.cards)) {
    const details = element("details");
    details.append(element("summary", about.models[name]), element("pre", card));
    $("cards").append(details);
  }
})();
ready.then(() => refresh()).then(() => { if (location.hash) chooseByAddress(); else if (analyses.size) choose(analyses.keys().next().value); watch(); });
