/** The machine at hand cannot do what a test needs: the test was not run, which is not the same as passed. */
export class NotRun extends Error {
  override readonly name = 'NotRun';
}
