// A video element that plays a moment: as the file is, or as a clip where browsers cannot play the file.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { clip, file, Refused, type Video } from "./api";

const CLIP = 30; // seconds that are converted around what is asked for

/** What the element plays: seconds of the video = its own + offset; it holds [from, to). */
interface Source {
  url: string;
  offset: number;
  from: number;
  to: number;
}

export function usePlayer(collection: string, about: Video | null, start: number, end: number, t: number | null, jump: number) {
  const first = t ?? start;
  const video = useRef<HTMLVideoElement>(null);
  const [source, setSource] = useState<Source | null>(null);
  const [shape, setShape] = useState<[width: number, height: number]>([0, 0]);
  const [now, setNow] = useState(first);
  const [playing, setPlaying] = useState(false);
  const [loop, setLoop] = useState(true);
  // As it will be drawn: who seeks outside of the moment is not set back by a frame that comes before.
  const looping = useRef(loop);
  // A moment behind the end, of a video that was replaced: there is nothing to come back to.
  const there = !about || start < about.duration;
  looping.current = loop && there;
  const [error, setError] = useState("");
  const [preparing, setPreparing] = useState(false);
  const wanted = useRef({ at: first, play: true });
  const running = useRef<AbortController>();
  const direct = about?.play.how === "direct";

  const load = useCallback(
    async (from: number, to: number) => {
      if (!about) return;
      setError("");
      if (direct) return setSource({ url: file(collection, about.video), offset: 0, from: 0, to: about.duration });
      running.current?.abort();
      const control = (running.current = new AbortController());
      setPreparing(true);
      try {
        const made = await clip(collection, about.video, from, Math.min(to, from + CLIP * 2), control.signal);
        setSource({ ...made, from, to: Math.min(to, from + CLIP * 2) });
      } catch (refused) {
        if (!control.signal.aborted) setError(refused instanceof Refused ? refused.message : "it cannot be played");
      } finally {
        if (running.current === control) setPreparing(false);
      }
    },
    [about, collection, direct],
  );

  useEffect(() => {
    const inside = first >= start && first < end;
    wanted.current = { at: first, play: true };
    setNow(first);
    setLoop(inside);
    if (inside && first < start + CLIP) load(start, end);
    else load(Math.max(0, first - 2), first + CLIP);
    return () => running.current?.abort();
  }, [load, start, end, first, jump]);

  const play = useCallback(async () => {
    const element = video.current;
    if (!element) return;
    try {
      await element.play();
    } catch (refused) {
      if ((refused as Error).name !== "NotAllowedError") return;
      // Opened by an address, not by a click: browsers play that without sound only.
      element.muted = true;
      await element.play().catch(() => {});
    }
  }, []);

  const seek = useCallback(
    (to: number, keep = false) => {
      if (!about || !source) return;
      const at = Math.min(Math.max(0, to), Math.max(0, about.duration - 0.05));
      if (!keep && (at < start || at > end)) setLoop((looping.current = false));
      setNow(at);
      if (at >= source.from - 3 && at < source.to + 3) {
        if (video.current) video.current.currentTime = Math.max(0, at - source.offset);
      } else {
        wanted.current = { at, play: true };
        load(Math.max(0, at - 2), Math.min(about.duration, at + CLIP));
      }
    },
    [about, source, start, end, load],
  );

  const ready = () => {
    const element = video.current;
    // Gone, where another video was opened meanwhile.
    if (!element || !source) return;
    setShape([element.videoWidth, element.videoHeight]);
    element.currentTime = Math.max(0, wanted.current.at - source.offset);
    if (wanted.current.play) play();
  };
  // The source stays when another moment of the same file is opened: no event tells of it.
  useEffect(() => {
    const element = video.current;
    if (element && source && element.readyState >= 1) ready();
  }, [start, end, first, jump, source]);

  useEffect(() => {
    if (!playing || !source) return;
    let frame = requestAnimationFrame(function look() {
      const element = video.current;
      if (element) {
        const at = element.currentTime + source.offset;
        if (looping.current && (at >= end || at < start - 0.5)) element.currentTime = Math.max(0, start - source.offset);
        setNow(element.currentTime + source.offset);
      }
      frame = requestAnimationFrame(look);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing, source, start, end]);

  const toggle = useCallback(() => {
    const element = video.current;
    if (!element) return;
    if (element.paused) play();
    else element.pause();
  }, [play]);

  const events = {
    onLoadedMetadata: ready,
    onPlay: () => setPlaying(true),
    onPause: () => setPlaying(false),
    onEnded: () => {
      setPlaying(false);
      // The end of the file is the end of the moment.
      if (looping.current) {
        seek(start, true);
        play();
      }
    },
    onError: () => source && setError("this browser cannot play the file"),
  };
  return { video, source, shape, now, playing, loop, setLoop, error, preparing, seek, toggle, events };
}
