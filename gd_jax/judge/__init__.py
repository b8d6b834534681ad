"""WHO wins: certificates, studies, statistics, verdicts."""
