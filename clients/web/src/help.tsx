import { useEffect, useRef } from "preact/hooks";

const KEYS = [
  ["/", "write a query"],
  ["j  k", "next, previous moment"],
  ["Enter", "open the moment"],
  ["Space", "play, pause"],
  ["←  →", "a second back, ahead"],
  ["l", "loop the moment, or play on"],
  ["0  4", "grade the moment, from 0 to 4"],
  ["g", "grid or list"],
  ["f", "filters"],
  ["w", "look everywhere, then in one place after the other"],
  ["x", "choose the moment for an export"],
  ["m", "more like the moment"],
  ["Esc", "close"],
];

export function Help({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog ref={dialog} class="help" aria-label="Keyboard shortcuts" onClose={close} onClick={(event) => event.target === dialog.current && close()}>
      <h2>Keyboard</h2>
      <dl>
        {KEYS.map(([key, what]) => (
          <>
            <dt>{key!.split("  ").map((one) => <kbd>{one}</kbd>)}</dt>
            <dd>{what}</dd>
          </>
        ))}
      </dl>
      <button type="button" onClick={close}>
        Close
      </button>
    </dialog>
  );
}
