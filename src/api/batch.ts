// API method batch: several commands in one request, their replies in the same order.
import { z } from 'zod';
import { elementSpans, memberSpan } from '../protocol/json-span.ts';
import { ApiErrors, ApiFailure } from './api-errors.ts';
import { errorJson } from './envelope.ts';
import { flag } from './fields.ts';
import { inTurns } from './in-turns.ts';
import { apiMethod, type ApiMethod } from './method.ts';

const batchParams = z.object({
  commands: z
    .array(z.record(z.string(), z.unknown()))
    .meta({ description: 'Objects with one member each, named after a method: its parameters.' }),
  parallel: flag('Run them at the same time instead of one after the other.'),
});

/** Commands at the same time. */
const PARALLEL = 64;

type Command = z.output<typeof batchParams>['commands'][number];

/** `methods`: those that a batch may contain. Its reply has no `result` around it. */
export function batchMethod(
  methods: ReadonlyMap<string, ApiMethod>,
  onInternalError: (error: unknown) => void,
): ApiMethod {
  const run = async (command: Command, text: string): Promise<string> => {
    try {
      const [name = '', ...others] = Object.keys(command);
      const method = methods.get(name);
      if (method === undefined || others.length > 0) {
        throw new ApiFailure(ApiErrors.badRequest, 'a command has one member, named after a method');
      }
      const result = await method.call(command[name], memberSpan(text, [name]) ?? '{}');
      return `{"${name}":${result}}`;
    } catch (error) {
      return errorJson(error, onInternalError);
    }
  };
  return apiMethod({
    name: 'batch',
    summary: 'Run several commands.',
    params: batchParams,
    result: z.object({ replies: z.array(z.record(z.string(), z.unknown())) }),
    run: async (params, source) => {
      const texts = elementSpans(memberSpan(source, ['commands']) ?? '[]');
      const atOnce = params.parallel ? PARALLEL : 1;
      const replies = await inTurns(params.commands, atOnce, (command, at) =>
        run(command, texts[at] ?? '{}'),
      );
      return `{"replies":[${replies.join(',')}]}`;
    },
  });
}
