-- Expands only: the release before keeps working on it.
ALTER TABLE res_partner ADD COLUMN loyalty_points integer NOT NULL DEFAULT 0 CHECK (loyalty_points >= 0);
UPDATE res_partner AS partner SET loyalty_points = totals.points
FROM (SELECT partner_id, floor(sum(amount_total) / 1000)::integer AS points FROM sale_order GROUP BY partner_id) AS totals
WHERE totals.partner_id = partner.id;
