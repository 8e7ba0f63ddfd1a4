import type { Session } from '../model/session.js';

/** The resources that the page reads. The OpenAPI document describes them. */

export interface Payment {
  id: string;
  status: string | null;
  payment_status: string | null;
  amount_subtotal: number | null;
  amount_total: number | null;
  currency: string | null;
  expires_at: string | null;
  livemode: boolean | null;
  last_event_type: string | null;
  last_event_at: string | null;
  payment_failed: boolean;
}

export type SessionWithPayment = Required<Session> & { payment: Payment | null };

export interface LedgerEvent {
  id: string;
  type: string;
  account: string | null;
  livemode: boolean | null;
  api_version: string | null;
  created: string;
  received_at: string;
  session_id: string;
  outcome: string;
}

export interface Page<Row> {
  count: number | null;
  next: string | null;
  previous: string | null;
  results: Row[];
}

export interface Day {
  date: string;
  sessions: number;
  paid: number;
  no_payment_required: number;
  unpaid: number;
  open: number;
  expired: number;
  unknown: number;
  amounts: { currency: string; sessions: number; amount_total: number }[];
}

export interface Statistics {
  days: Day[];
  left_out: string[];
}

/** The parsed address of the page. */
export interface Route {
  view: 'sessions' | 'session' | 'events' | 'overview' | 'none';
  id: string;
  params: Record<string, string>;
}

export type Params = Record<string, string | number | boolean | undefined>;
