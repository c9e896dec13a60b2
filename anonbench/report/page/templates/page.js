"use strict";
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const form = one("#filters");
  const FILTERS = ["protocol", "dataset", "suite", "channel"];

  // ------------------------------------------------------------------------------------ the boards
  const boards = all(".board").map((element) => {
    const body = one("tbody", element);
    const heads = all(".columns > th", element);
    const rows = [...body.rows].map((row) => ({
      row,
      key: row.dataset.key,
      text: `${row.dataset.method} ${one("th", row).firstChild.textContent}`.toLowerCase(),
      values: [...row.cells].map((cell, at) => value(cell, at)),
    }));
    const groups = [];
    let next = 1;
    for (const cell of all(".groups > th", element)) {
      groups.push({ cell, from: next, to: (next += cell.colSpan) });
    }
    return { element, body, heads, rows, groups };
  });

  function value(cell, at) {
    if (at === 0) return cell.firstChild.textContent.toLowerCase();
    const data = one("data", cell);
    return data ? Number(data.value) : null;
  }

  const fresh = () => ({ filters: {}, q: "", metrics: new Map(), published: true, together: false, sort: null });
  let state = fresh();

  // --------------------------------------------------------------------------------------- filters
  function columnShown(board, head) {
    const { metric, judge } = head.dataset;
    const chosen = state.metrics.get(`${board.element.dataset.protocol}/${metric}`);
    if (!(chosen ?? "headline" in head.dataset)) return false;
    if ("published" in head.dataset) return state.published;
    return !state.filters.judge || state.filters.judge === judge;
  }

  function applyTo(board) {
    const wanted = FILTERS.every((name) => !state.filters[name] || board.element.dataset[name] === state.filters[name]);
    const shown = board.heads.map((head, at) => at === 0 || (wanted && columnShown(board, head)));
    const measured = board.heads.some((head, at) => at > 0 && shown[at] && !("published" in head.dataset));
    board.heads.forEach((head, at) => { head.hidden = !shown[at]; });
    for (const { cell, from, to } of board.groups) {
      const width = shown.slice(from, to).filter(Boolean).length;
      cell.hidden = width === 0;
      cell.colSpan = width || 1;
    }
    let rows = 0;
    let numbers = 0;
    for (const { row, text } of board.rows) {
      const cells = [...row.cells];
      cells.forEach((cell, at) => { cell.hidden = !shown[at]; });
      const present = cells.filter((cell, at) => at > 0 && shown[at] && !cell.classList.contains("absent"));
      row.hidden = !(present.length && text.includes(state.q));
      if (!row.hidden) { rows += 1; numbers += present.length; }
    }
    board.element.hidden = !(wanted && measured && rows);
    return board.element.hidden ? [0, 0, 0] : [1, rows, numbers];
  }

  function apply() {
    const totals = boards.map(applyTo).reduce((sum, found) => sum.map((n, at) => n + found[at]), [0, 0, 0]);
    const [tables, rows, numbers] = totals;
    const every = boards.reduce((sum, board) => sum + board.rows.length, 0);
    one("#count").textContent = tables
      ? `Showing ${tables} of ${boards.length} tables, ${rows} of ${every} rows, ${numbers} numbers.`
      : "Nothing matches. Reset the filters to see all tables.";
    for (const set of all("fieldset[data-protocol]")) {
      set.hidden = Boolean(state.filters.protocol) && set.dataset.protocol !== state.filters.protocol;
    }
  }

  // --------------------------------------------------------------------------------------- sorting
  // What has no value stays last, whichever way; equal values keep their order.
  function order(board, at, descending) {
    const sign = descending ? -1 : 1;
    return [...board.rows].sort((a, b) => {
      const [x, y] = [a.values[at], b.values[at]];
      if (x === null || y === null) return (x === null) - (y === null);
      return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
  }

  function arrange(board, rows) { board.body.append(...rows.map(({ row }) => row)); }

  function sort() {
    for (const board of boards) {
      board.heads.forEach((head) => head.removeAttribute("aria-sort"));
      arrange(board, board.rows);
    }
    const board = state.sort && boards.find(({ element }) => element.id === state.sort.board);
    if (!board || !board.heads[state.sort.at]) return;
    const { at, descending } = state.sort;
    const rows = order(board, at, descending);
    board.heads[at].setAttribute("aria-sort", descending ? "descending" : "ascending");
    arrange(board, rows);
    if (!state.together) return;
    const place = new Map(rows.map(({ key }, index) => [key, index]));
    for (const other of boards.filter((found) => found !== board)) {
      const rank = ({ key }) => place.get(key) ?? Infinity;
      arrange(other, [...other.rows].sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b))));
    }
  }

  function press(board, at) {
    const same = state.sort && state.sort.board === board.element.id && state.sort.at === at;
    const best = board.heads[at].dataset.direction === "higher";
    state.sort = { board: board.element.id, at, descending: same ? !state.sort.descending : best };
    sort();
    write();
  }

  for (const board of boards) {
    board.heads.forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => press(board, at));
      head.append(button);
    });
  }

  // ------------------------------------------------------------------- the state in the page's URL
  function write() {
    const said = new URLSearchParams(Object.entries(state.filters).filter(([, chosen]) => chosen));
    if (state.q) said.set("q", state.q);
    for (const [key, shown] of state.metrics) said.append(shown ? "show" : "hide", key);
    if (!state.published) said.set("published", "no");
    if (state.together) said.set("together", "yes");
    if (state.sort) said.set("sort", `${state.sort.board}.${state.sort.at}.${state.sort.descending ? "down" : "up"}`);
    const text = said.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  function read() {
    const said = new URLSearchParams(location.hash.slice(1));
    state = fresh();
    for (const name of [...FILTERS, "judge"]) state.filters[name] = said.get(name) ?? "";
    state.q = (said.get("q") ?? "").toLowerCase();
    said.getAll("show").forEach((key) => state.metrics.set(key, true));
    said.getAll("hide").forEach((key) => state.metrics.set(key, false));
    state.published = said.get("published") !== "no";
    state.together = said.get("together") === "yes";
    const [board, at, way] = (said.get("sort") ?? "").split(".");
    if (at) state.sort = { board, at: Number(at), descending: way === "down" };
  }

  function fill() {
    for (const [name, chosen] of Object.entries(state.filters)) if (form[name]) form[name].value = chosen;
    form.q.value = state.q;
    for (const box of all("input[name=metric]")) box.checked = state.metrics.get(box.value) ?? box.defaultChecked;
    form.published.checked = state.published;
    form.together.checked = state.together;
  }

  function changed({ target }) {
    if (target.name === "metric") {
      if (target.checked === target.defaultChecked) state.metrics.delete(target.value);
      else state.metrics.set(target.value, target.checked);
    } else if (target.type === "checkbox") state[target.name] = target.checked;
    else if (target.name === "q") state.q = target.value.trim().toLowerCase();
    else state.filters[target.name] = target.value;
    apply();
    if (target.name === "together") sort();
    write();
  }
  form.addEventListener("input", changed);
  form.addEventListener("change", changed); // drivers and some tools send only this one
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    state = fresh();
    for (const name of [...FILTERS, "judge"]) state.filters[name] = "";
    show();
    write();
  });

  function show() { fill(); apply(); sort(); }

  function follow() {
    if (location.hash.includes("=")) { read(); show(); return; }
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.closest("details");
    if (details) { details.open = true; target.scrollIntoView(); }
  }

  // ------------------------------------------------------------------------ light, dark, and paper
  const theme = one("#theme");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`); };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  addEventListener("beforeprint", () => all("details").forEach((details) => { details.open = true; }));

  name();
  theme.hidden = false;
  form.hidden = false;
  read();
  show();
  addEventListener("hashchange", follow);
  follow();
})();
