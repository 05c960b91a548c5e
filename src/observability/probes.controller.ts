import { Controller, Get, Headers, Res } from '@nestjs/common';
import { MetricsToken } from './metrics-token.js';
import { Metrics } from './metrics.js';
import { Readiness, type ReadinessReport } from './readiness.js';

/** The part of a Fastify reply that is used here. */
interface Reply {
  status(code: number): Reply;
  header(name: string, value: string): Reply;
}

/** What probes and the metrics scraper ask for: all that the HTTP door serves. */
@Controller()
export class ProbesController {
  constructor(
    private readonly readiness: Readiness,
    private readonly metrics: Metrics,
    private readonly token: MetricsToken,
  ) {}

  /** The process lives; restart it when this does not answer. */
  @Get('healthz')
  healthz(): { status: string } {
    return { status: 'ok' };
  }

  /** 200 when the process should be sent work, else 503; each check by its name. */
  @Get('readyz')
  async readyz(@Res({ passthrough: true }) reply: Reply): Promise<ReadinessReport> {
    const report = await this.readiness.report();
    reply.status(report.ready ? 200 : 503);
    return report;
  }

  @Get('metrics')
  async scrape(
    @Headers('authorization') authorization: string | undefined,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<string> {
    this.token.require(authorization);
    await this.readiness.report();
    reply.header('content-type', this.metrics.contentType);
    return this.metrics.scrape();
  }
}
