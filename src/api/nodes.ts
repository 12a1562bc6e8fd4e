// API methods that ask all nodes: info, channels.
import { z } from 'zod';
import type { NodeBus, SurveyResult } from '../engine/node-bus.ts';
import { channelsAnswer, type ChannelsSurvey, nodeInfo, SurveyKinds } from '../hub/control-messages.ts';
import type { Logger } from '../observe/logger.ts';
import { text } from './fields.ts';
import { apiMethod, type ApiMethod } from './method.ts';

export interface NodesDeps {
  readonly bus: Pick<NodeBus, 'survey'>;
  readonly logger: Pick<Logger, 'warn'>;
  /** How long a node has to answer. */
  readonly surveyTimeoutMs: number;
}

const missing = z
  .array(z.string())
  .optional()
  .meta({ description: 'Nodes that did not answer in time: the result is without them.' });

export function nodeMethods(deps: NodesDeps): ApiMethod[] {
  return [
    apiMethod({
      name: 'info',
      summary: 'Nodes (worker processes) that are alive, with their figures.',
      params: z.object({}),
      result: z.object({ nodes: z.array(nodeInfo), missing }),
      run: async () => {
        const survey = await deps.bus.survey(SurveyKinds.info, {}, deps.surveyTimeoutMs);
        return JSON.stringify({ nodes: understood(deps, survey, nodeInfo), ...missingOf(survey) });
      },
    }),
    apiMethod({
      name: 'channels',
      summary: 'Channels with subscribers. Asks every node for all of its channels.',
      params: z.object({ pattern: text('Glob over channel names. Empty: all.') }),
      result: z.object({
        channels: z.record(z.string(), z.object({ num_clients: z.int() })),
        missing,
      }),
      run: async (params) => {
        const question: ChannelsSurvey = { pattern: params.pattern };
        const survey = await deps.bus.survey(SurveyKinds.channels, question, deps.surveyTimeoutMs);
        const clients = new Map<string, number>();
        for (const answer of understood(deps, survey, channelsAnswer)) {
          for (const [name, more] of Object.entries(answer))
            clients.set(name, (clients.get(name) ?? 0) + more);
        }
        const channels = Object.fromEntries(Array.from(clients, ([name, n]) => [name, { num_clients: n }]));
        return JSON.stringify({ channels, ...missingOf(survey) });
      },
    }),
  ];
}

function missingOf(survey: SurveyResult): { missing?: readonly string[] } {
  return survey.missing.length === 0 ? {} : { missing: survey.missing };
}

/** Answers in the shape expected; a node of another version may say something else. */
function understood<S extends z.ZodType>(deps: NodesDeps, survey: SurveyResult, schema: S): z.output<S>[] {
  return survey.answers.flatMap(({ node, result }) => {
    const parsed = schema.safeParse(result);
    if (parsed.success) return [parsed.data];
    deps.logger.warn({ node }, 'survey answer not understood');
    return [];
  });
}
