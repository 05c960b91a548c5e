import type { EntityManager } from 'typeorm';
import type { CommittedReader, Unit, UnitOfWork } from '../../src/database/unit-of-work.js';
import type { SecretReader } from '../../src/secret-store/secret-store.js';

/** What a piece of work asked of the store, in its order: commits, and each read and write by table, not by key. */
export type Observed = string[];

interface StoreDoors {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
}

export function observedStore({ unitOfWork, committed }: StoreDoors, observed: Observed): StoreDoors {
  return {
    unitOfWork: observedUnits(unitOfWork, observed),
    committed: observedReader(committed, observed),
  };
}

/** The same units of work; each run and everything inside it is noted. */
function observedUnits(units: UnitOfWork, observed: Observed): UnitOfWork {
  return {
    async run<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
      observed.push('begin');
      const value = await units.run((unit) =>
        work({
          audit: {
            append: (event) => {
              observed.push('audit');
              unit.audit.append(event);
            },
          },
          secrets: noted(unit.secrets, 'unit secrets', observed),
          tables: noted(unit.tables, 'unit', observed),
        }),
      );
      observed.push('commit');
      return value;
    },
  };
}

function observedReader(reader: CommittedReader, observed: Observed): CommittedReader {
  return {
    secrets: noted<SecretReader>(reader.secrets, 'secrets', observed),
    tables: noted(reader.tables, 'committed', observed),
  };
}

/** Every call of a method, with the entity that it is about and the size of what it gives. */
function noted<Target extends SecretReader | EntityManager>(
  target: Target,
  name: string,
  observed: Observed,
): Target {
  return new Proxy(target, {
    get(inner, property): unknown {
      const member: unknown = Reflect.get(inner, property);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]): unknown => {
        const [entity] = given;
        const about = typeof entity === 'function' ? ` ${entity.name}` : '';
        observed.push(`${name}.${String(property)}${about}`);
        return Reflect.apply(member, inner, given);
      };
    },
  });
}
