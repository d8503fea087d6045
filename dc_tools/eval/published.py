"""Published results of DeepCoder and its peers, shown beside measured ones. Nothing here was measured by dc-eval."""

SETTING = "Temperature 0.6, top_p 0.95, up to 64K tokens; from the DeepCoder release, May 2025"
HEAD = ("model", "LiveCodeBench", "Codeforces", "percentile", "HumanEval+", "AIME 2024")
ROWS: tuple[tuple[str, float, int, float, float, float | None], ...] = (
    ("DeepCoder-14B-Preview", 60.6, 1936, 95.3, 92.6, 73.8),
    ("DeepSeek-R1-Distill-Qwen-14B", 53.0, 1791, 92.7, 92.0, 69.7),
    ("o3-mini-2025-01-31 (low)", 60.9, 1918, 94.9, 92.6, 60.0),
    ("o1-2024-12-17 (low)", 59.5, 1991, 96.1, 90.8, 74.4),
    ("o1-preview", 42.7, 1658, 88.5, 89.0, 40.0),
    ("DeepSeek-R1", 62.8, 1948, 95.4, 92.6, 79.8),
    ("DeepCoder-1.5B-Preview", 25.1, 963, 28.5, 73.0, None),
    ("DeepSeek-R1-Distill-Qwen-1.5B", 16.9, 615, 1.9, 58.3, None),
)
REMARKS = (
    "LiveCodeBench of DeepCoder-14B by context: 45.6 at 16K, 57.9 at 32K, 60.6 at 64K.",
    "The Codeforces figure was graded on statement examples: 378 of its 408 problems have a single test.",
)
