"""Texts that a model is looked at with before its weights are rounded: varied, short, written for this."""

from __future__ import annotations

CALIBRATION_TEXTS = (
    "A colony of honey bees keeps tens of thousands of workers, one queen and, in summer, a few hundred drones.",
    "Patients who took vitamin D for six months had a lower risk of fractures (95% CI 0.71–0.94, p < 0.01).",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2  # raises TypeError for a string",
    "The defendant appealed, arguing that the contract of 12 May 1987 was void under section 4(b) of the act.",
    "How do I stop my sourdough from sticking to the basket?",
    "Flow over a swept wing at Mach 2.4: pressures were measured in a wind tunnel at five angles of attack.",
    "Quarterly revenue rose 8.3% to $1.27 billion, while operating margins fell from 21 to 19 percent on higher wages.",
    "La bibliothèque municipale ouvre à neuf heures, sauf le lundi et les jours fériés.",
    "Der Zug nach Nürnberg hat heute wegen einer Weichenstörung etwa vierzig Minuten Verspätung.",
    "We prove that every bounded sequence of real numbers has a convergent subsequence; compactness follows at once.",
    "in 1969 apollo 11 carried armstrong, aldrin and collins to the moon; the lander touched down on july 20",
    "Sort the array, then binary-search it: O(n log n) time in all, O(1) extra space. See also: heaps, quickselect.",
    "She closed the window, listened to the rain for a while, and at last opened the letter from her brother.",
    "ERROR 2024-03-18T07:45:12Z worker-3 connection to 10.0.4.17:5432 refused, retrying in 30 s (attempt 4 of 10)",
    "vitamin d deficiency symptoms",
    "Mix two parts of sand with one of cement, add water slowly, and keep the slab damp for at least three days.",
)
