"use strict";
// Draws what the server says of runs: it counts and sums, so that nothing here grows with tasks.

const PHASES = ["queued", "cold start", "loading", "reading", "shuffle wait", "computing", "writing"];
const LOOKED_AT = 1000; // tasks, of more of which what they do is drawn from a sample
const BUSY = [1, 2, 3, 4, 5, 6]; // the phases in which a task has a slot
const chosen = { job: location.hash.slice(1) || null, stage: 0 };
const charts = [];
let events = null;
let latest = { jobs: [], job: null };

// ---- words

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const count = (n) => n.toLocaleString("en-US");

function dollars(job) {
  const value = job.dollars;
  if (value === null) return "dollars unknown"; // of a region without prices
  const text = value === 0 ? "$0" : value >= 0.01 ? `$${value.toFixed(2)}` : `$${value.toPrecision(2)}`;
  return job.estimated ? `would be ${text}` : text;
}

function seconds(s) {
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  if (s >= 60) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  return s >= 10 ? `${s.toFixed(1)} s` : `${s.toFixed(2)} s`;
}

// A time on an axis: as short as it can be.
function moment(s) {
  if (s < 60) return `${Number(s.toFixed(3))} s`;
  const [minutes, rest] = [Math.floor(s / 60), String(Math.round(s % 60)).padStart(2, "0")];
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

function bytes(n) {
  if (!n) return "";
  for (const unit of ["bytes", "KB", "MB", "GB"]) {
    if (n < 1024) return unit === "bytes" ? `${n} bytes` : `${n.toFixed(1)} ${unit}`;
    n /= 1024;
  }
  return `${n.toFixed(1)} TB`;
}

function ago(time) {
  const s = Math.max(0, Date.now() / 1000 - time);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (s >= length) return `${Math.floor(s / length)} ${unit} ago`;
  }
  return `${Math.floor(s)} s ago`;
}

const took = (job) => (job.ended || (job.state === "running" ? Date.now() / 1000 : job.began)) - job.began;

// ---- elements: text is set as text, so nothing that a program is named runs here

function h(tag, attributes, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") found.className = value;
    else if (name.startsWith("on")) found.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) found.setAttribute(name, value);
  }
  found.append(...children.filter((child) => child !== null));
  return found;
}

function svg(tag, attributes, ...children) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.append(...children);
  return found;
}

function section(title, ...children) {
  return h("section", {}, h("h2", {}, title), ...children);
}

// What is too wide scrolls by itself, also by the keyboard.
function scroll(name, child) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, child);
}

// ---- the list of jobs

function drawJobs() {
  const list = document.getElementById("jobs");
  const focused = document.activeElement && document.activeElement.dataset.job;
  list.replaceChildren(
    ...latest.jobs.map((job) =>
      h("li", {},
        h("button", {
          type: "button", "data-job": job.id, "aria-current": String(job.id === chosen.job),
          title: `${job.name} in ${job.program}`, onclick: () => choose(job.id), onkeydown: move,
        },
          h("strong", {}, job.name),
          h("span", {},
            h("span", { class: `state ${job.state}` }, job.state),
            ` ${job.program}, ${ago(job.began)}, ${dollars(job)}`)))));
  if (focused) list.querySelector(`[data-job="${CSS.escape(focused)}"]`)?.focus();
}

function move(event) {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const next = step && event.target.closest("li")[step];
  if (next) {
    event.preventDefault();
    next.firstChild.focus();
  }
}

function choose(id) {
  chosen.job = id;
  chosen.stage = 0;
  history.replaceState(null, "", `#${id}`);
  drawJobs();
  listen();
}

// ---- one job

function drawJob(job) {
  const main = document.getElementById("job");
  charts.splice(0).forEach((chart) => chart.destroy());
  if (job === null) {
    main.replaceChildren(h("p", { class: "quiet" }, "No run has left a history yet: start one, and it appears here."));
    return;
  }
  const opened = new Set([...main.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  const parts = [overview(job)];
  if (job.failures.length) parts.push(failures(job, opened));
  const activity = h("div", {});
  const timeline = h("canvas", { class: "lines", role: "img" });
  const histogram = h("div", {});
  const money = h("div", {});
  const { phases } = job.activity;
  const busiest = Math.max(0, ...phases[0].map((_, n) => BUSY.reduce((sum, phase) => sum + phases[phase][n], 0)));
  const waiting = Math.max(0, ...phases[0]);
  parts.push(
    h("div", { class: "beside" }, section("What tasks are doing", legend(), activity,
      h("p", { class: "quiet" }, `${job.tasks > LOOKED_AT ? "About" : "At most"} ${count(Math.round(busiest))} tasks ran at once, and ${count(Math.round(waiting))} waited for a slot.`
        + (throttles(job) ? ` ${count(throttles(job))} attempts were throttled (dotted line).` : ""))),
      job.spent === null ? "" : section(job.estimated ? "Dollars, had it run on Lambda" : "Dollars", money,
      h("p", { class: "quiet" }, job.predicted
        ? `${dollars(job)} ${job.state === "running" ? "so far" : "in all"}; ${dollars({ ...job, dollars: job.predicted.dollars })} was predicted (dashed line).`
        : "What attempts had cost when they ended, and in the end all that was billed. Nothing was predicted: explain(predict=True) does."))),
    section("Timeline", timeline,
      h("p", { class: "quiet" }, job.timeline.every > 1
        ? `Each line is an attempt of a task, of which one in ${job.timeline.every} is shown, and the slowest of each stage.`
        : "Each line is an attempt of a task, by stage and start.")),
    section("Stages", scroll("graph of stages", graph(job)), scroll("table of stages", stages(job))));
  if (job.query) {
    parts.push(section("Query", h("pre", { tabindex: "0" }, job.query.name),
      h("details", { "data-key": "plan", open: opened.has("plan") ? "" : null }, h("summary", {}, "Its physical plan"), h("pre", { tabindex: "0" }, job.query.plan))));
  }
  if (job.stages.length) parts.push(stage(job, job.stages[Math.min(chosen.stage, job.stages.length - 1)], histogram, opened));
  main.replaceChildren(...parts);
  drawActivity(activity, job);
  if (job.spent !== null) drawMoney(money, job);
  drawTimeline(timeline, job);
  if (job.stages.length) drawHistogram(histogram, job.stages[Math.min(chosen.stage, job.stages.length - 1)]);
}

const throttles = (job) => job.activity.throttled.reduce((sum, n) => sum + n, 0);

function overview(job) {
  const figures = [
    ["state", h("span", { class: `state ${job.state}` }, job.state)],
    ["time", seconds(took(job))],
    ["tasks", `${count(job.done)} of ${count(job.tasks)}`],
    ["dollars", dollars(job)],
  ];
  if (job.predicted) figures.push(["predicted", `${dollars({ ...job, dollars: job.predicted.dollars })} in ${seconds(job.predicted.seconds)}`]);
  figures.push(["executors", count(job.executors)]);
  if (throttles(job)) figures.push(["throttled", count(throttles(job))]);
  if (job.failed) figures.push(["failed attempts", count(job.failed)]);
  for (const [kind, moved] of Object.entries(job.transport)) if (moved) figures.push([`shuffled by ${kind}`, bytes(moved)]);
  return h("section", {},
    h("h2", {}, job.name),
    h("p", { class: "quiet" }, `job ${job.id} of ${job.program} on ${job.backend}, ${ago(job.began)}`),
    h("dl", { class: "figures" }, ...figures.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    job.state === "running" ? h("progress", { max: Math.max(1, job.tasks), value: job.done, "aria-label": "tasks done" }) : null);
}

function failures(job, opened) {
  return h("section", { class: "failed-box" }, h("h2", {}, "What failed"),
    ...job.failures.map((each, place) => {
      const [first, ...rest] = each.error.split("\n");
      return h("details", { "data-key": `f${place}`, open: opened.has(`f${place}`) || place === 0 ? "" : null },
        h("summary", {}, `${first}${each.times > 1 ? ` (${count(each.times)} times)` : ""}`),
        h("p", { class: "quiet" }, `stage ${each.stage}, partition ${each.partition}, on ${each.on}`),
        rest.join("\n").trim() ? h("pre", { tabindex: "0" }, rest.join("\n").trim()) : null,
        each.logs ? h("div", {}, h("h3", {}, "It printed"), h("pre", { tabindex: "0" }, each.logs)) : null);
    }));
}

function legend() {
  return h("ul", { class: "legend" }, ...PHASES.map((phase, n) => {
    const mark = h("i", {});
    mark.style.background = colour(`--p${n}`);
    return h("li", {}, mark, phase);
  }));
}

function stages(job) {
  const columns = ["stage", "state", "tasks", "failed", "median", "longest", "read", "fetched", "shuffled", "spilled", "dollars"];
  const left = 2;
  return h("table", {},
    h("thead", {}, h("tr", {}, ...columns.map((c, n) => h("th", { class: n < left ? "" : "number", scope: "col" }, c)))),
    h("tbody", {}, ...job.stages.map((each) =>
      h("tr", {},
        h("td", { class: "name" }, `${each.number} ${each.name}`),
        h("td", {}, h("span", { class: `state ${each.state}` }, each.state)),
        ...[`${count(each.done)}/${count(each.count)}`, each.failed ? count(each.failed) : "", each.median ? seconds(each.median) : "",
          each.longest ? seconds(each.longest) : "", bytes(each.read), bytes(each.fetched), bytes(each.shuffled), bytes(each.spilled),
          dollars({ ...each, estimated: false })].map((text) => h("td", { class: "number" }, text))))));
}

// What tasks printed that did not fail: of those that did it stands with the failure.
function printed(each, opened) {
  if (!each.printing) return null;
  const more = each.printing > each.printed.length ? ` The first ${each.printed.length} of ${count(each.printing)} tasks are here; aflint logs has all.` : "";
  return h("div", {}, h("h3", {}, "What its tasks printed"),
    more ? h("p", { class: "quiet" }, more.trim()) : null,
    ...each.printed.map((task) => {
      const key = `p${each.number}/${task.partition}`;
      return h("details", { "data-key": key, open: opened.has(key) ? "" : null },
        h("summary", {}, `partition ${task.partition}: ${task.logs.trim().split("\n").pop().slice(0, 120)}`),
        h("pre", { tabindex: "0" }, task.logs));
    }));
}

function stage(job, each, histogram, opened) {
  const picker = h("select", { "aria-label": "Stage", onchange: (event) => { chosen.stage = Number(event.target.value); drawJob(latest.job); } },
    ...job.stages.map((s) => h("option", { value: s.number, selected: s.number === each.number ? "" : null }, `stage ${s.number} ${s.name}`)));
  const slow = each.slowest.length
    ? h("table", {},
        h("thead", {}, h("tr", {}, ...["partition", "took", "why"].map((c) => h("th", { scope: "col" }, c)))),
        h("tbody", {}, ...each.slowest.map((task) => h("tr", {}, h("td", {}, String(task.partition)), h("td", { class: "number" }, seconds(task.seconds)), h("td", { class: "name" }, task.why)))))
    : h("p", { class: "quiet" }, "A stage of one task has no slowest one.");
  return section("One stage", picker,
    h("div", { class: "pair" },
      h("div", {}, h("h3", {}, "How long its tasks took"), histogram,
        h("p", { class: "quiet" }, each.median ? `The longest took ${each.skew.toFixed(1)} times the median.` : "None is done yet.")),
      h("div", {}, h("h3", {}, "Its slowest tasks"), scroll("slowest tasks", slow)),
      !each.rdds.length && !each.paths.length ? null : h("div", {}, h("h3", {}, "What it computes"),
        h("ul", {}, ...[...each.rdds].reverse().map((rdd) => h("li", {}, rdd))),
        each.paths.length ? h("p", { class: "quiet" }, `It reads ${each.paths.join(", ")}`) : null)),
    printed(each, opened));
}

// ---- drawings

function graph(job) {
  // A stage stands to the right of all that it reads.
  const depth = [];
  job.stages.forEach((each) => { depth[each.number] = Math.max(-1, ...each.parents.map((p) => depth[p] ?? -1)) + 1; });
  const rows = {}, place = [];
  job.stages.forEach((each) => { const d = depth[each.number]; place[each.number] = [d, (rows[d] = (rows[d] ?? -1) + 1)]; });
  const [w, tall, gap, between] = [220, 48, 50, 16];
  const x = (n) => place[n][0] * (w + gap) + 1, y = (n) => place[n][1] * (tall + between) + 1;
  const width = (Math.max(0, ...depth) + 1) * (w + gap) - gap + 2;
  const height = (Math.max(0, ...Object.values(rows)) + 1) * (tall + between) - between + 2;
  const drawn = svg("svg", { class: "dag", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${job.stages.length} stages and what they read` });
  drawn.style.minWidth = `${Math.min(width, 900)}px`;
  for (const each of job.stages) {
    for (const parent of each.parents) {
      const [a, b, c, d] = [x(parent) + w, y(parent) + tall / 2, x(each.number), y(each.number) + tall / 2];
      drawn.append(svg("path", { d: `M${a},${b} C${a + gap / 2},${b} ${c - gap / 2},${d} ${c},${d}` }));
    }
    const name = each.name.length > 31 ? `${each.name.slice(0, 30)}…` : each.name;
    drawn.append(svg("g", { class: each.state },
      svg("title", {}, each.rdds.join("\n")),
      svg("rect", { x: x(each.number), y: y(each.number), width: w, height: tall, rx: 6 }),
      svg("text", { x: x(each.number) + 10, y: y(each.number) + 20 }, name),
      svg("text", { x: x(each.number) + 10, y: y(each.number) + 37, class: "small" }, `stage ${each.number}: ${each.state}, ${count(each.done)}/${count(each.count)} tasks`)));
  }
  return drawn;
}

function axes() {
  const line = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  return [{ ...line, values: (_, all) => all.map(moment) }, { ...line, size: 55, values: (_, all) => all.map((v) => (Number.isInteger(v) ? count(v) : "")) }];
}

function drawActivity(where, job) {
  const { step, phases, throttled } = job.activity;
  const times = phases[0].map((_, n) => n * step);
  // One upon the other: what is drawn first is the sum of all. Tasks that wait for a slot would
  // dwarf the others.
  const order = BUSY;
  const sums = [];
  order.reduce((below, phase) => { const sum = below.map((v, n) => v + phases[phase][n]); sums.push(sum); return sum; }, times.map(() => 0));
  const series = order.map((phase) => ({ label: PHASES[phase], fill: colour(`--p${phase}`), width: 0, points: { show: false } })).reverse();
  if (throttles(job)) series.push({ label: "throttled", stroke: colour("--bad"), width: 1.5, dash: [2, 3], points: { show: false } });
  chart(where, { height: 190, series: [{}, ...series], scales: { x: { time: false } } }, [times, ...sums.reverse(), ...(throttles(job) ? [throttled] : [])]);
}

function drawMoney(where, job) {
  const { spent, activity: { step }, predicted } = job;
  const series = [{ label: "dollars", stroke: colour("--p5"), width: 2, points: { show: false } }];
  const data = [spent.map((_, n) => n * step), spent];
  if (predicted) {
    series.push({ label: "predicted", stroke: colour("--p4"), width: 1.5, dash: [6, 4], points: { show: false } });
    data.push(spent.map(() => predicted.dollars));
  }
  const most = Math.max(...data.slice(1).map((each) => each[each.length - 1]), 1e-9);
  const [x, y] = axes();
  chart(where, {
    height: 150, series: [{}, ...series], scales: { x: { time: false }, y: { range: [0, most * 1.08] } },
    axes: [x, { ...y, size: 80, values: (_, all) => all.map((v) => (v === 0 ? "$0" : `$${Number(v.toPrecision(2))}`)) }],
  }, data);
}

function drawHistogram(where, each) {
  const { from, step, counts } = each.histogram;
  if (!counts.length) return;
  chart(where, {
    height: 150, scales: { x: { time: false, range: [from - step, from + step * (counts.length + 1)] } },
    series: [{}, { label: "tasks", fill: colour("--p5"), stroke: colour("--p5"), paths: uPlot.paths.bars({ size: [0.9, 100] }), points: { show: false } }],
  }, [counts.map((_, n) => from + step * (n + 0.5)), counts]);
}

function chart(where, options, data) {
  const width = Math.max(200, where.clientWidth);
  charts.push(new uPlot({ width, axes: axes(), cursor: { show: false }, legend: { show: false }, ...options }, data, where));
}

function drawTimeline(canvas, job) {
  const { lines, seconds: whole } = job.timeline;
  const row = Math.min(14, Math.max(1.5, 420 / Math.max(1, lines.length)));
  const width = canvas.clientWidth, height = Math.max(24, lines.length * row + 20), dense = window.devicePixelRatio || 1;
  canvas.width = width * dense;
  canvas.height = height * dense;
  canvas.style.height = `${height}px`;
  canvas.setAttribute("aria-label", `Timeline of ${count(job.done)} tasks over ${seconds(whole)}`);
  const pen = canvas.getContext("2d");
  pen.scale(dense, dense);
  const scale = width / Math.max(whole, 0.001);
  const colours = PHASES.map((_, n) => colour(`--p${n}`)), bad = colour("--bad");
  lines.forEach(([, , status, spans], n) => {
    for (const [phase, from, to] of spans) {
      pen.fillStyle = status === "failed" && phase === 5 ? bad : colours[phase];
      pen.fillRect(Math.max(0, from * scale), n * row, Math.max(0.7, (to - from) * scale), Math.max(1, row - (row > 4 ? 1 : 0)));
    }
  });
  pen.fillStyle = colour("--quiet");
  pen.font = "11px system-ui, sans-serif";
  pen.fillText("0 s", 0, height - 4);
  pen.textAlign = "right";
  pen.fillText(seconds(whole), width, height - 4);
}

// ---- code that is typed

const form = document.getElementById("ask"), code = document.getElementById("code");
const LANGUAGES = {
  sql: { example: "SELECT count(*) FROM parquet.`s3://bucket/folder`", hint: "Spark SQL." },
  python: {
    example: "words = session.text_file(\"README.md\").flat_map(str.split)\nwords.map(lambda w: (w, 1)).reduce_by_key(int.__add__)",
    hint: "session is there and await works; in a PySpark program, sc and spark. What it ends with is shown.",
  },
};
let asked = null; // the chart of the last answer
let stopping = null; // stops what runs

const language = () => form.elements.language.value;

function hint() {
  document.getElementById("hint").textContent = LANGUAGES[language()].hint;
  code.placeholder = LANGUAGES[language()].example;
}

async function ask(event) {
  event.preventDefault();
  if (stopping) return;
  const [run, stop] = form.querySelectorAll("button");
  const out = document.getElementById("answer"), said = document.getElementById("said");
  const began = performance.now();
  stopping = new AbortController();
  run.disabled = true;
  stop.disabled = false;
  said.textContent = "running";
  const failed = (why) => { said.textContent = "It failed."; out.replaceChildren(h("pre", { class: "error", tabindex: "0", role: "alert" }, why)); };
  try {
    const answer = await fetch("api/run", {
      method: "POST", headers: { "Content-Type": "application/json" }, signal: stopping.signal,
      body: JSON.stringify({ language: language(), code: code.value }),
    });
    const found = answer.headers.get("content-type").startsWith("application/json") ? await answer.json() : { error: await answer.text() };
    if (found.error) failed(found.error);
    else {
      said.textContent = `It took ${seconds((performance.now() - began) / 1000)}.`;
      drawAnswer(out, found);
    }
  } catch (error) {
    if (error.name === "AbortError") said.textContent = "It was stopped.";
    else failed(`aflint did not answer: ${error.message}`);
  }
  stopping = null;
  run.disabled = false;
  stop.disabled = true;
}

const written = (value) => (value === null ? "null" : typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 6 }) : String(value));

function drawAnswer(out, { columns, rows, more, total, text, printed }) {
  asked?.destroy();
  asked = null;
  const parts = [];
  if (printed) parts.push(h("pre", { tabindex: "0" }, printed));
  if (text) parts.push(h("pre", { tabindex: "0" }, text));
  out.replaceChildren(...parts);
  if (!columns) return;
  const kind = (column) => (column.number ? "number" : "name");
  const first = `The first ${count(rows.length)} rows`;
  out.append(picture(columns, rows),
    scroll("rows of the answer", h("table", {},
      h("thead", {}, h("tr", {}, ...columns.map((c) => h("th", { class: kind(c), scope: "col" }, c.name)))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((value, n) => h("td", { class: kind(columns[n]) }, written(value)))))))),
    h("p", { class: "quiet" }, !more ? `${count(rows.length)} ${rows.length === 1 ? "row" : "rows"}` : total ? `${first} of ${count(total)}.` : `${first}; there are more.`));
  drawPicture(columns, rows);
}

// What the chart shows is chosen: at first the first column of numbers, by the first of anything else.
function picture(columns, rows) {
  const numbers = columns.filter((c) => c.number);
  if (!numbers.length || rows.length < 2) return "";
  const values = columns.findIndex((c) => c.number);
  const others = columns.findIndex((c) => !c.number);
  const by = others >= 0 ? others : values === 0 && numbers.length > 1 ? 0 : -1;
  const start = by === values ? columns.findIndex((c, n) => c.number && n !== by) : values;
  const choose = (id, label, options) => h("label", {}, `${label} `, h("select", { id, onchange: () => drawPicture(columns, rows) }, ...options));
  return h("div", { id: "picture" },
    h("p", { class: "choices" },
      choose("chart-of", "Chart of", columns.map((c, n) => (c.number ? h("option", { value: n, selected: n === start ? "" : null }, c.name) : null)).filter(Boolean)),
      choose("chart-by", "by", [h("option", { value: -1, selected: by < 0 ? "" : null }, "row"), ...columns.map((c, n) => h("option", { value: n, selected: n === by ? "" : null }, c.name))]),
      choose("chart-as", "as", [h("option", { value: "bars", selected: rows.length <= 60 ? "" : null }, "bars"), h("option", { value: "line", selected: rows.length > 60 ? "" : null }, "line"), h("option", { value: "points" }, "points")])),
    h("div", { id: "plot", role: "img" }));
}

function drawPicture(columns, rows) {
  const plot = document.getElementById("plot");
  if (!plot) return;
  asked?.destroy();
  const chosen = (id) => document.getElementById(id).value;
  const value = Number(chosen("chart-of")), by = Number(chosen("chart-by")), as = chosen("chart-as");
  plot.setAttribute("aria-label", `${columns[value].name} by ${by < 0 ? "row" : columns[by].name}, as ${as}; the table below has the same numbers`);
  // Along numbers where they are, else one place after the other.
  const along = by >= 0 && columns[by].number && as !== "bars";
  let points = rows.map((row, n) => [along ? Number(row[by]) : n, row[value] === null ? null : Number(row[value]), by < 0 ? String(n + 1) : written(row[by])]);
  points = points.filter(([x, y]) => Number.isFinite(x) && (y === null || Number.isFinite(y)));
  if (along) points.sort((a, b) => a[0] - b[0]);
  const [xs, ys, names] = [0, 1, 2].map((n) => points.map((p) => p[n]));
  const [x, y] = axes();
  const fit = Math.max(1, Math.ceil((names.length * 90) / Math.max(90, plot.clientWidth)));
  const places = along ? { ...x, values: (_, all) => all.map(written) } : {
    ...x, grid: { show: false },
    splits: () => names.map((_, n) => n).filter((n) => n % fit === 0),
    values: (_, all) => all.map((n) => (names[n] ?? "").slice(0, 14)),
  };
  const drawn = { bars: { fill: colour("--p5"), paths: uPlot.paths.bars({ size: [0.8, 60] }), points: { show: false } },
    line: { stroke: colour("--p5"), width: 2, points: { show: false } },
    points: { stroke: colour("--p5"), paths: () => null, points: { show: true, size: 6, fill: colour("--p5") } } }[as];
  asked = new uPlot({
    width: Math.max(200, plot.clientWidth), height: 220, cursor: { show: false }, legend: { show: false },
    scales: { x: along ? { time: false } : { time: false, range: [-0.6, names.length - 0.4] }, y: { range: (_, low, high) => (as === "bars" ? [Math.min(0, low), Math.max(0, high) * 1.05 || 1] : low === high ? [low - 1, high + 1] : [low - (high - low) * 0.05, high + (high - low) * 0.05]) } },
    axes: [places, { ...y, values: (_, all) => all.map(written), size: 80 }],
    series: [{}, { label: columns[value].name, ...drawn }],
  }, [xs, ys], plot);
}

form.addEventListener("submit", ask);
form.addEventListener("change", (event) => { if (event.target.name === "language") hint(); });
form.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(); });
document.getElementById("stop").addEventListener("click", () => stopping?.abort());
hint();

// ---- news

function show(news) {
  // It says only what has changed.
  latest = { ...latest, ...news };
  const found = latest;
  form.hidden = !found.asks;
  const unread = document.getElementById("unread");
  unread.hidden = !found.unread;
  unread.textContent = `${found.unread} more cannot be read: aflint jobs says why.`;
  if (!chosen.job && found.jobs.length) {
    choose(found.jobs[0].id);
    return;
  }
  if (document.hidden) return; // drawn once it is looked at
  const began = performance.now();
  if (news.jobs) drawJobs();
  if ("job" in news && (found.job || !found.jobs.length)) drawJob(found.job);
  window.drawnIn = performance.now() - began;
}

function listen() {
  events?.close();
  const link = document.getElementById("link");
  events = new EventSource(`api/changes${chosen.job ? `?job=${encodeURIComponent(chosen.job)}` : ""}`);
  events.onopen = () => { link.textContent = "live"; };
  events.onerror = () => { link.textContent = "aflint has ended: what is shown is the last that it said"; };
  events.onmessage = (event) => show(JSON.parse(event.data));
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) { drawJobs(); drawJob(latest.job); } });
let resized = 0;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => drawJob(latest.job), 150); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawJob(latest.job));
history.replaceState(null, "", location.pathname + location.hash); // the token is in a cookie now
listen();
