// A link to #NAME of an exercise leads to its worked solution, which is folded away: open it. (A heading may have the
// same id: the lesson REINFORCE has an exercise `reinforce`.)
function unfold() {
  const name = decodeURIComponent(location.hash.slice(1));
  const solution = name && document.querySelector(`details[id="${CSS.escape(name)}"]`);
  if (solution) {
    solution.open = true;
    solution.scrollIntoView();
  }
}
addEventListener("hashchange", unfold);
addEventListener("load", unfold);
