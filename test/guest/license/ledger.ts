/** A license that was given to a guest; all times are the service's, in milliseconds since 1970. */
export interface Lease {
  readonly id: string;
  /** Hash of the guest's machine-id and MAC addresses. */
  readonly who: string;
  readonly product: string;
  readonly seats: number;
  readonly grantedMs: number;
  readonly expiresMs: number;
  readonly renewedMs: readonly number[];
  /** undefined: it was not given back. */
  readonly returnedMs?: number;
  /** Its guest got another one, or the service has forgotten it. */
  readonly isVoid?: true;
}

interface Request {
  readonly id: string;
  readonly who: string;
  readonly product: string;
  readonly seats: number;
  readonly leaseMs: number;
}

/** Who holds what, and what was ever granted. */
export interface Ledger {
  /** Everything that was ever granted, in that order. */
  readonly leases: () => readonly Lease[];
  readonly acquire: (request: Request) => Lease | 'no such pool' | 'exhausted';
  /** undefined: the guest does not hold such a lease. */
  readonly renew: (request: Request) => Lease | undefined;
  readonly giveBack: (request: Pick<Request, 'id' | 'who'>) => void;
  readonly forget: () => void;
}

/** `poolOf`: how many licenses of a product there are now; undefined: there is no such pool. */
export function createLedger(poolOf: (product: string) => number | undefined): Ledger {
  const leases = new Map<string, Lease>();

  function acquire({ id, who, product, seats, leaseMs }: Request): ReturnType<Ledger['acquire']> {
    const pool = poolOf(product);
    if (pool === undefined) return 'no such pool';
    const nowMs = Date.now();
    const counting = [...leases.values()].filter(lease => counts(lease, nowMs));
    const own = counting.filter(lease => lease.who === who);
    const taken = counting
      .filter(lease => lease.product === product && lease.who !== who)
      .reduce((sum, lease) => sum + lease.seats, 0);
    if (taken + seats > pool) return 'exhausted';
    for (const lease of own) leases.set(lease.id, { ...lease, isVoid: true });
    const lease: Lease = { id, who, product, seats, grantedMs: nowMs, expiresMs: nowMs + leaseMs, renewedMs: [] };
    leases.set(id, lease);
    return lease;
  }

  function renew({ id, who, leaseMs }: Request): Lease | undefined {
    const nowMs = Date.now();
    const held = leases.get(id);
    if (!held || held.who !== who || !counts(held, nowMs)) return undefined;
    const lease = { ...held, expiresMs: nowMs + leaseMs, renewedMs: [...held.renewedMs, nowMs] };
    leases.set(id, lease);
    return lease;
  }

  return {
    leases: () => [...leases.values()],
    acquire,
    renew,
    giveBack({ id, who }) {
      const held = leases.get(id);
      if (held?.who === who) leases.set(id, { ...held, returnedMs: held.returnedMs ?? Date.now() });
    },
    forget() {
      for (const lease of leases.values()) leases.set(lease.id, { ...lease, isVoid: true });
    },
  };
}

/** Whether it takes a license out of its pool. */
export function counts({ returnedMs, isVoid, expiresMs }: Lease, nowMs = Date.now()): boolean {
  return returnedMs === undefined && !isVoid && expiresMs > nowMs;
}
