// Two tabs may change one conversation at once. What each of them has of it is brought together, message by message.

/**
 * Bring `mine` to hold what `theirs` holds too; whether anything changed. Its objects stay the same ones, so that an
 * answer that grows in them (`grows`) goes on. What both have chosen differently stays as each tab shows it.
 */
export function mergeInto(mine, theirs, grows = () => false) {
  const before = JSON.stringify(mine);
  const removed = new Set([...(mine.removed ?? []), ...(theirs.removed ?? [])]);
  for (const [id, node] of Object.entries(theirs.nodes)) {
    if (!mine.nodes[id]) mine.nodes[id] = node;
    else if (!grows(mine.nodes[id]) && isNewer(node, mine.nodes[id])) replace(mine.nodes[id], node);
  }
  for (const id of removed) if (mine.nodes[id] && !grows(mine.nodes[id])) delete mine.nodes[id];
  if (removed.size) mine.removed = [...removed];
  link(mine, theirs);
  if ((theirs.set ?? 0) > (mine.set ?? 0)) for (const name of ["title", "named", "settings", "model", "set"]) mine[name] = theirs[name];
  mine.updated = Math.max(mine.updated, theirs.updated);
  return JSON.stringify(mine) !== before;
}

function replace(old, node) {
  for (const name of Object.keys(old)) delete old[name];
  Object.assign(old, node);
}

/** Children follow from the parents; a choice that this tab has not made is the other's. */
function link(mine, theirs) {
  const nodes = Object.values(mine.nodes).filter((node) => node.parent === "root" || mine.nodes[node.parent]);
  const order = new Map(Object.values(mine.children).flat().map((id, i) => [id, i]));
  nodes.sort((a, b) => a.created - b.created || (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0));
  mine.children = {};
  for (const node of nodes) (mine.children[node.parent] ??= []).push(node.id);
  const chosen = {};
  for (const [parent, ids] of Object.entries(mine.children)) {
    chosen[parent] = [mine.chosen[parent], theirs.chosen[parent]].find((id) => ids.includes(id)) ?? ids.at(-1);
  }
  mine.chosen = chosen;
}

/** A whole answer is newer than one that grows, and that than one of which a tab only knows that it stopped growing. */
function isNewer(a, b) {
  const rank = (node) => (node.error?.kind === "reload" ? 0 : node.status === "running" ? 1 : 2);
  const age = (node) => (node.status === "running" ? (node.thought ?? "").length + node.text.length : Math.max(node.ended ?? 0, node.freshAt ?? 0));
  return rank(a) === rank(b) ? age(a) > age(b) : rank(a) > rank(b);
}
