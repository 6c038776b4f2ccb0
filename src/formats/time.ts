/** RFC 3339 in UTC, to the second. */
export function timeOf(us: number): string {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? 'a day beyond all calendars' : `${date.toISOString().slice(0, 19)}Z`;
}
