// What a rule says, and how a rule is made: a pure function from the facts it needs to its verdicts.
import type { FactName, Facts, FactValues } from './facts.ts';

/** From harmless to worst. `unknown`: a fact is missing, which alone is no fault. */
export const SEVERITIES = ['ok', 'unknown', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  readonly rule: string;
  readonly severity: Severity;
  /** How it is, with the numbers. */
  readonly what: string;
  /** What will hurt. Empty when nothing will. */
  readonly why: string;
  /** The line to change and where. Empty when there is none. */
  readonly change: string;
}

export type Verdict = Omit<Finding, 'rule'>;

export interface Rule {
  readonly id: string;
  judge(facts: Facts): Finding[];
}

export function fine(what: string): Verdict {
  return { severity: 'ok', what, why: '', change: '' };
}

export function fault(
  severity: 'warning' | 'critical',
  what: string,
  { why, change }: { readonly why: string; readonly change: string },
): Verdict {
  return { severity, what, why, change };
}

export function notKnown(what: string): Verdict {
  return { severity: 'unknown', what, why: '', change: '' };
}

/** `judge` runs only with all facts that it needs; without one the rule says what is not known, and why. */
export function rule<const K extends FactName>(
  id: string,
  needs: readonly K[],
  judge: (facts: Pick<FactValues, K>) => Verdict | readonly Verdict[],
): Rule {
  return {
    id,
    judge: (facts) => {
      const missing = needs.flatMap((name) => {
        const fact = facts[name];
        return fact.known ? [] : [fact.why];
      });
      const values = Object.fromEntries(
        needs.map((name) => {
          const fact = facts[name];
          return [name, fact.known ? fact.value : undefined];
        }),
      );
      const verdicts =
        missing.length > 0
          ? [notKnown([...new Set(missing)].join('; '))]
          : // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every needed fact is there, by its own name
            [judge(values as Pick<FactValues, K>)].flat();
      return verdicts.map((verdict) => ({ rule: id, ...verdict }));
    },
  };
}

export function worstOf(findings: readonly Finding[]): Severity {
  const worst = Math.max(0, ...findings.map(({ severity }) => SEVERITIES.indexOf(severity)));
  return SEVERITIES[worst] ?? 'ok';
}
