import { type DynamicModule, Module } from '@nestjs/common';
import { MetricsToken } from './metrics-token.js';
import { Metrics } from './metrics.js';
import { ProbesController } from './probes.controller.js';
import { Readiness } from './readiness.js';

/** Parts that are made before the application, since the doors report to them. */
export interface ObservabilityParts {
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly metricsToken: MetricsToken;
}

@Module({ controllers: [ProbesController] })
export class ObservabilityModule {
  static of(parts: ObservabilityParts): DynamicModule {
    const providers = [
      { provide: Metrics, useValue: parts.metrics },
      { provide: Readiness, useValue: parts.readiness },
      { provide: MetricsToken, useValue: parts.metricsToken },
    ];
    return { module: ObservabilityModule, global: true, providers, exports: [Metrics, Readiness] };
  }
}
