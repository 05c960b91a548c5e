import { Module } from '@nestjs/common';
import { AuditController } from './audit.controller.js';

/** The door to the audit log; the log itself is part of the store. */
@Module({ controllers: [AuditController] })
export class AuditModule {}
