// All methods of the server API, by name.
import { batchMethod } from './batch.ts';
import { type ControlDeps, controlMethods } from './control.ts';
import { type HistoryDeps, historyMethods } from './history.ts';
import type { ApiMethod } from './method.ts';
import { type NodesDeps, nodeMethods } from './nodes.ts';
import { type PresenceDeps, presenceMethods } from './presence.ts';
import { type PublishDeps, publishMethods } from './publish.ts';
import { type RpcDeps, rpcMethods } from './rpc.ts';

export type ApiDeps = PublishDeps & HistoryDeps & PresenceDeps & ControlDeps & NodesDeps & RpcDeps;

export function apiMethods(deps: ApiDeps): ReadonlyMap<string, ApiMethod> {
  const methods = new Map(
    [
      ...publishMethods(deps),
      ...historyMethods(deps),
      ...presenceMethods(deps),
      ...controlMethods(deps),
      ...nodeMethods(deps),
      ...rpcMethods(deps),
    ].map((method) => [method.name, method]),
  );
  return new Map([...methods, ['batch', batchMethod(methods, deps.onInternalError)]]);
}
