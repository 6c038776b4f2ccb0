/** How a running deed speaks to whoever watches. */
export interface Tell {
  /** Worth a line: for a person and for the log file. */
  info(text: string): void;
  /** Something that may explain a later failure. */
  warn(text: string): void;
  /** The newest line of a long child: shown while it lasts on a terminal, only logged otherwise. */
  progress(line: string): void;
}
