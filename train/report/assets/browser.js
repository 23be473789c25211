// The error browser: menus and filters, a page of tweets at a time, all of it in the address.

(() => {
  const root = document.getElementById("browser");
  const blocks = new Map(
    [...document.querySelectorAll("script[data-dataset]")].map((e) => [e.dataset.dataset, e]),
  );
  if (!root || !blocks.size) return;

  const PAGE_SIZE = 20;
  const SHOW = {
    differ: "the two differ",
    a_wrong: "first is wrong",
    b_wrong: "second is wrong",
    a_better: "only the second is wrong",
    b_better: "only the first is wrong",
    both_wrong: "both are wrong",
    all: "all tweets",
  };
  const DEFAULTS = { show: "differ", type: "", error: "", evidence: "", image: "", handle: "", q: "", tweet: "" };

  const loaded = new Map();
  function load(name) {
    if (!loaded.has(name)) {
      const data = JSON.parse(blocks.get(name).textContent);
      data.golds = data.tweets.map((tweet) => unpack(tweet[3]));
      loaded.set(name, data);
    }
    return loaded.get(name);
  }

  const runLabel = (run) => `${run.label} seed ${run.seed}`;
  const taggingOfRun = (data, run, i) => (run.spans[i] === 0 ? data.golds[i] : unpack(run.spans[i]));

  let state = {};
  let hits = [];
  let first = 0;

  // ---- the address: #browse?dataset=...&a=...
  function readAddress() {
    const [anchor, query = ""] = location.hash.slice(1).split("?");
    const given = anchor === "browse" ? Object.fromEntries(new URLSearchParams(query)) : {};
    const dataset = blocks.has(given.dataset) ? given.dataset : blocks.keys().next().value;
    const data = load(dataset);
    const labels = data.runs.map(runLabel);
    const choose = (label, place) => (labels.includes(label) ? label : labels[data.pair[place]]);
    state = { ...DEFAULTS, ...given, dataset, a: choose(given.a, 0), b: choose(given.b, 1) };
    if (!SHOW[state.show]) state.show = DEFAULTS.show;
    // With one run there is nothing to differ.
    if (!given.show && state.a === state.b) state.show = "a_wrong";
  }

  function address(changes = {}) {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries({ ...state, ...changes })) {
      if (value && value !== DEFAULTS[key]) query.set(key, value);
    }
    return `#browse?${query}`;
  }

  function writeAddress() {
    history.replaceState(null, "", address());
  }

  // ---- which tweets
  function find(data) {
    const a = data.runs.find((run) => runLabel(run) === state.a);
    const b = data.runs.find((run) => runLabel(run) === state.b);
    const type = state.type === "" ? -1 : data.types.indexOf(state.type);
    const needle = state.q.toLowerCase();
    const concerns = (span) => type < 0 || span.types.includes(type);
    const found = [];
    for (let i = 0; i < data.tweets.length; i += 1) {
      const gold = data.golds[i];
      const taggings = [taggingOfRun(data, a, i), taggingOfRun(data, b, i)];
      if (!hasSlice(data, i)) continue;
      const [first_, second] = taggings.map((spans) => examine(gold, spans));
      if (!isShown(first_, second, taggings)) continue;
      const every = [...gold, ...taggings.flat()];
      const errors = [...first_.errors, ...second.errors];
      if (state.error) {
        if (!errors.some((span) => span.error === state.error && concerns(span))) continue;
      } else if (type >= 0 && !every.some((span) => span.type === type)) continue;
      if (needle && !textOf(data, i).includes(needle)) continue;
      found.push({ i, found: [first_, second] });
    }
    return found;
  }

  function isShown(a, b, taggings) {
    const [isA, isB] = [a.errors.length > 0, b.errors.length > 0];
    switch (state.show) {
      case "differ": return !isEqualTagging(...taggings);
      case "a_wrong": return isA;
      case "b_wrong": return isB;
      case "a_better": return !isA && isB;
      case "b_better": return isA && !isB;
      case "both_wrong": return isA && isB;
      default: return true;
    }
  }

  function hasSlice(data, i) {
    const [, imageId, , , evidence, hasHandle] = data.tweets[i];
    if (state.evidence && evidence !== state.evidence) return false;
    if (state.image && data.images) {
      const isUsable = data.images[imageId].status === "ok";
      if (isUsable !== (state.image === "yes")) return false;
    }
    return !state.handle || Boolean(hasHandle) === (state.handle === "yes");
  }

  function textOf(data, i) {
    const [id, imageId, tokens] = data.tweets[i];
    const image = data.images ? textOfImage(data.images[imageId]) : "";
    return `${id} ${imageId} ${tokens.join(" ")} ${image}`.toLowerCase();
  }

  // ---- controls
  const menus = make("div", { class: "menus" });
  const search = make("input", { type: "search", placeholder: "tokens, captions, words, ids" });
  const count = make("p", { class: "count", "aria-live": "polite" });
  const totals = make("div", {});
  const list = make("div", { class: "tweets" });
  const pagers = [make("p", { class: "pager" }), make("p", { class: "pager" })];

  function menu(key, label, options) {
    const select = make("select", {
      onchange: (event) => {
        if (key === "dataset") state = { ...DEFAULTS };
        change({ [key]: event.target.value });
      },
    });
    for (const [value, text] of options) select.append(make("option", { value }, text));
    select.value = state[key];
    if (select.selectedIndex < 0) {
      state[key] = "";
      select.selectedIndex = 0;
    }
    return make("label", {}, `${label} `, select);
  }

  function drawMenus(data) {
    const runs = data.runs.map((run) => [runLabel(run), runLabel(run)]);
    const kinds = [...new Set(data.tweets.map((tweet) => tweet[4]))].filter(Boolean).sort();
    const any = ["", "any"];
    const items = [
      menu("dataset", "dataset", [...blocks.keys()].map((name) => [name, name])),
      menu("a", "first", runs),
      menu("b", "second", runs),
      menu("show", "show", Object.entries(SHOW)),
      menu("type", "type", [any, ...data.types.map((name) => [name, name])]),
      menu("error", "error", [any, ...Object.entries(ERRORS)]),
    ];
    if (kinds.length) items.push(menu("evidence", "evidence", [any, ...kinds.map((k) => [k, k])]));
    if (data.images) items.push(menu("image", "usable image", [any, ["yes", "yes"], ["no", "no"]]));
    items.push(menu("handle", "@ handle", [any, ["yes", "yes"], ["no", "no"]]));
    search.value = state.q;
    items.push(make("label", {}, "search ", search));
    items.push(make("button", { type: "button", onclick: reset }, "reset filters"));
    menus.replaceChildren(...items);
  }

  function reset() {
    change({ ...DEFAULTS });
  }

  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ q: search.value }), 200);
  });

  function change(changes) {
    state = { ...state, tweet: "", ...changes };
    writeAddress();
    readAddress();
    update();
  }

  // ---- what is shown
  function drawTotals(data) {
    const columns = ["tweets wrong", ...Object.values(ERRORS)];
    const head = make("tr", {}, ...["in these tweets", ...columns].map((c) => make("th", { scope: "col" }, c)));
    const rows = [state.a, state.b].map((label, place) => {
      const all = hits.map((hit) => hit.found[place].errors);
      const counts = Object.keys(ERRORS).map((kind) => all.flat().filter((s) => s.error === kind).length);
      const cells = [all.filter((errors) => errors.length).length, ...counts];
      return make("tr", {}, make("th", { scope: "row" }, label), ...cells.map((n) => make("td", { class: "number" }, String(n))));
    });
    totals.replaceChildren(
      make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
    );
  }

  function drawPage(data) {
    const shown = hits.slice(first, first + PAGE_SIZE);
    list.replaceChildren(
      ...shown.map((hit) => {
        const tweet = data.tweets[hit.i];
        const runs = [state.a, state.b].map((label, place) => ({ label, found: hit.found[place] }));
        return tweetElement(
          {
            tweet,
            number: hit.i + 1,
            link: address({ tweet: tweet[0] }),
            gold: data.golds[hit.i],
            runs: state.a === state.b ? runs.slice(0, 1) : runs,
            record: data.images && data.images[tweet[1]],
          },
          data.types,
        );
      }),
    );
    const last = Math.min(first + PAGE_SIZE, hits.length);
    for (const pager of pagers) {
      const turn = (label, to, isOff) => {
        const button = make("button", { type: "button", onclick: () => turnTo(to) }, label);
        button.disabled = isOff;
        return button;
      };
      pager.replaceChildren(
        turn("previous page", first - PAGE_SIZE, first === 0),
        hits.length ? ` ${first + 1} to ${last} of ${hits.length.toLocaleString("en")} ` : " none ",
        turn("next page", first + PAGE_SIZE, last >= hits.length),
      );
    }
  }

  function turnTo(start) {
    first = Math.max(0, Math.min(start, Math.floor(Math.max(hits.length - 1, 0) / PAGE_SIZE) * PAGE_SIZE));
    state.tweet = "";
    writeAddress();
    drawPage(load(state.dataset));
    root.scrollIntoView();
  }

  function update() {
    const data = load(state.dataset);
    drawMenus(data);
    hits = find(data);
    if (state.tweet && !hits.some((hit) => data.tweets[hit.i][0] === state.tweet)) {
      // The tweet of a link is shown whatever the filters say.
      Object.assign(state, DEFAULTS, { show: "all", tweet: state.tweet });
      drawMenus(data);
      hits = find(data);
    }
    count.textContent = `${hits.length.toLocaleString("en")} of ${data.tweets.length.toLocaleString("en")} tweets`;
    drawTotals(data);
    const place = hits.findIndex((hit) => data.tweets[hit.i][0] === state.tweet);
    first = Math.max(0, place - (place % PAGE_SIZE));
    drawPage(data);
    if (place >= 0) mark(place);
  }

  function mark(place) {
    for (const old of list.querySelectorAll(".current")) old.classList.remove("current");
    const article = list.children[place - first];
    article.classList.add("current");
    article.focus({ preventScroll: true });
    article.scrollIntoView({ block: "start" });
  }

  function step(by) {
    const data = load(state.dataset);
    const now = hits.findIndex((hit) => data.tweets[hit.i][0] === state.tweet);
    const next = now < 0 ? first : now + by;
    if (next < 0 || next >= hits.length) return;
    if (next < first || next >= first + PAGE_SIZE) turnTo(next - (next % PAGE_SIZE));
    state.tweet = data.tweets[hits[next].i][0];
    writeAddress();
    mark(next);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const actions = {
      n: () => step(1),
      p: () => step(-1),
      "]": () => turnTo(first + PAGE_SIZE),
      "[": () => turnTo(first - PAGE_SIZE),
    };
    if (actions[event.key]) actions[event.key]();
  });

  // A box and its line are marked together.
  list.addEventListener("mouseover", (event) => {
    const article = event.target.closest(".tweet");
    const over = event.target.closest("[data-number]");
    for (const old of list.querySelectorAll(".active")) old.classList.remove("active");
    if (!article || !over) return;
    for (const part of article.querySelectorAll(`[data-number="${over.dataset.number}"]`)) {
      part.classList.add("active");
    }
  });

  window.addEventListener("hashchange", () => {
    if (!location.hash.startsWith("#browse?")) return;
    readAddress();
    update();
  });

  root.replaceChildren(menus, count, totals, pagers[0], list, pagers[1]);
  readAddress();
  update();
  if (location.hash.startsWith("#browse") && !state.tweet) root.parentElement.scrollIntoView();
})();
