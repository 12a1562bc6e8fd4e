// One method of the server API: its schema is the only description of its request, and runs before it.
import type { z } from 'zod';
import { ApiErrors, ApiFailure } from './api-errors.ts';

export interface ApiMethodDefinition<S extends z.ZodType> {
  readonly name: string;
  readonly summary: string;
  readonly params: S;
  /** Shape of the result, for the OpenAPI document and the tests. */
  readonly result: z.ZodType;
  /** `text` is the JSON that `params` came from, for payloads that must not be parsed. Resolves to JSON text. */
  run(params: z.output<S>, text: string): Promise<string>;
}

export interface ApiMethod {
  readonly name: string;
  readonly summary: string;
  readonly params: z.ZodType;
  readonly result: z.ZodType;
  /** `value` is what `text` parses to. Rejects with ApiFailure. */
  call(value: unknown, text: string): Promise<string>;
}

export function apiMethod<S extends z.ZodType>(definition: ApiMethodDefinition<S>): ApiMethod {
  const { name, summary, params, result } = definition;
  return {
    name,
    summary,
    params,
    result,
    call: async (value, text) => {
      const parsed = params.safeParse(value);
      if (!parsed.success) throw new ApiFailure(ApiErrors.badRequest, describeIssue(parsed.error));
      return definition.run(parsed.data, text);
    },
  };
}

function describeIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'not understood';
  const message = issue.message.replace(/^Invalid input: /u, '');
  return issue.path.length === 0 ? message : `${issue.path.join('.')}: ${message}`;
}
