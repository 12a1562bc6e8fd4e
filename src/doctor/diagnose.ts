// All rules over all facts.
import type { Facts } from './facts.ts';
import type { Finding, Rule } from './finding.ts';
import { descriptorRules } from './rules/descriptors.ts';
import { frontRules } from './rules/front.ts';
import { frontTimeRules } from './rules/front-times.ts';
import { machineRules } from './rules/machine.ts';
import { memoryRules } from './rules/memory.ts';
import { networkRules } from './rules/network.ts';
import { redisRules } from './rules/redis.ts';
import { serviceRules } from './rules/service.ts';

export const RULES: readonly Rule[] = [
  ...machineRules,
  ...descriptorRules,
  ...networkRules,
  ...memoryRules,
  ...frontTimeRules,
  ...frontRules,
  ...serviceRules,
  ...redisRules,
];

export function diagnose(facts: Facts): Finding[] {
  return RULES.flatMap((rule) => rule.judge(facts));
}
