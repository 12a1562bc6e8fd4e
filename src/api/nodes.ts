// API methods that ask all nodes: info, channels, connections.
import { z } from 'zod';
import type { NodeBus, SurveyResult } from '../engine/node-bus.ts';
import {
  channelsAnswer,
  type ChannelsSurvey,
  connectionDetails,
  connectionsAnswer,
  type ConnectionsSurvey,
  nodeInfo,
  SurveyKinds,
} from '../hub/control-messages.ts';
import { MAX_GLOB_LENGTH } from '../hub/glob.ts';
import type { Logger } from '../observe/logger.ts';
import { count, text } from './fields.ts';
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

/** Connections in one reply. */
const PAGE = 100;
const MAX_PAGE = 1000;

const cursor = text('`cursor` of the reply before: what comes after it.');
const nextCursor = z.string().optional().meta({ description: 'There are more: pass it on to get them.' });

const connectionResult = connectionDetails
  .omit({ client: true })
  .extend({ node: z.string().meta({ description: 'The `uid` of the node that holds it.' }) });

export function nodeMethods(deps: NodesDeps): ApiMethod[] {
  return [
    apiMethod({
      name: 'info',
      summary: 'Nodes (worker processes) that are alive, with their figures.',
      params: z.object({}),
      result: z.object({ nodes: z.array(nodeInfo), missing }),
      run: async () => {
        const survey = await deps.bus.survey(SurveyKinds.info, {}, deps.surveyTimeoutMs);
        const nodes = understood(deps, survey, nodeInfo).map(({ answer }) => answer);
        return JSON.stringify({ nodes, ...missingOf(survey) });
      },
    }),
    apiMethod({
      name: 'channels',
      summary: 'Channels with subscribers. Every node looks through all of its channels.',
      params: z.object({
        pattern: text(
          `Glob over channel names: \`*\` any run of characters, \`?\` any one, \`\\\` takes the next as it is. Empty: all.`,
        ).refine((pattern) => pattern.length <= MAX_GLOB_LENGTH, `longer than ${MAX_GLOB_LENGTH} characters`),
        limit: count('Most channels in one reply, in the order of their names. 0: all, in no order.'),
        cursor,
      }),
      result: z.object({
        channels: z.record(z.string(), z.object({ num_clients: z.int() })),
        cursor: nextCursor,
        missing,
      }),
      run: async ({ pattern, limit, cursor: after }) => {
        // One more than asked for shows whether there are more.
        const question: ChannelsSurvey = { pattern, after, limit: limit === 0 ? 0 : limit + 1 };
        const survey = await deps.bus.survey(SurveyKinds.channels, question, deps.surveyTimeoutMs);
        const clients = new Map<string, number>();
        for (const [name, more] of understood(deps, survey, channelsAnswer).flatMap(({ answer }) => answer)) {
          clients.set(name, (clients.get(name) ?? 0) + more);
        }
        const { entries, next } = pageOf(clients, limit);
        const channels = entries.map(([name, n]) => `${JSON.stringify(name)}:{"num_clients":${n}}`);
        return withPage(`"channels":{${channels.join(',')}}`, next, survey);
      },
    }),
    apiMethod({
      name: 'connections',
      summary: 'Live connections, with what is known about each.',
      params: z.object({
        user: text('Only connections of this user.'),
        client: text('Only the connection with this client id.'),
        channel: text('Only connections subscribed to this channel.'),
        limit: count(`Most connections in one reply, in the order of their client ids. 0: ${PAGE}.`).refine(
          (limit) => limit <= MAX_PAGE,
          `more than ${MAX_PAGE}`,
        ),
        cursor,
      }),
      result: z.object({
        connections: z.record(z.string(), connectionResult),
        cursor: nextCursor,
        missing,
      }),
      run: async (params) => {
        const limit = params.limit === 0 ? PAGE : params.limit;
        const { user, client, channel, cursor: after } = params;
        const question: ConnectionsSurvey = {
          target: {
            ...(user !== '' && { user }),
            ...(client !== '' && { client }),
            ...(channel !== '' && { channel }),
          },
          after,
          limit: limit + 1,
        };
        const survey = await deps.bus.survey(SurveyKinds.connections, question, deps.surveyTimeoutMs);
        const connections = new Map<string, string>();
        for (const { node, answer } of understood(deps, survey, connectionsAnswer)) {
          for (const { client: id, ...details } of answer) {
            connections.set(id, JSON.stringify({ ...details, node }));
          }
        }
        const { entries, next } = pageOf(connections, limit);
        const members = entries.map(([id, details]) => `${JSON.stringify(id)}:${details}`);
        return withPage(`"connections":{${members.join(',')}}`, next, survey);
      },
    }),
  ];
}

/** The first `limit` entries by key (0: all as they are), and the cursor for the rest if there is one. */
function pageOf<T>(
  all: ReadonlyMap<string, T>,
  limit: number,
): { readonly entries: readonly (readonly [string, T])[]; readonly next: string | undefined } {
  if (limit === 0) return { entries: [...all], next: undefined };
  const sorted = [...all].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return {
    entries: sorted.slice(0, limit),
    next: sorted.length > limit ? sorted[limit - 1]?.[0] : undefined,
  };
}

/** Written by hand, so that a channel of any name is an ordinary member. */
function withPage(members: string, next: string | undefined, { missing: silent }: SurveyResult): string {
  const parts = [members];
  if (next !== undefined) parts.push(`"cursor":${JSON.stringify(next)}`);
  if (silent.length > 0) parts.push(`"missing":${JSON.stringify(silent)}`);
  return `{${parts.join(',')}}`;
}

function missingOf(survey: SurveyResult): { missing?: readonly string[] } {
  return survey.missing.length === 0 ? {} : { missing: survey.missing };
}

/** Answers in the shape expected; a node of another version may say something else. */
function understood<S extends z.ZodType>(
  deps: NodesDeps,
  survey: SurveyResult,
  schema: S,
): { readonly node: string; readonly answer: z.output<S> }[] {
  return survey.answers.flatMap(({ node, result }) => {
    const parsed = schema.safeParse(result);
    if (parsed.success) return [{ node, answer: parsed.data }];
    deps.logger.warn({ node }, 'survey answer not understood');
    return [];
  });
}
