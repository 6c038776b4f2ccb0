/** Units are carried into the build as text. */
declare module '*.service' {
  const text: string;
  export default text;
}
