"""The exponential, the error function's gelu and a logarithm by polynomials: the same bits on every processor.

A mathematics library takes other steps on other processors, and none of its functions is vectorised by Numba.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.floats import divide, floor, power_of_two

_LOG2_E = np.float32(1.44269504)
_LN_2_HIGH, _LN_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_SMALLEST = np.float32(-87.0)
_HALF, _ONE = np.float32(0.5), np.float32(1)
# Cephes (Moshier), expf: exp(r) = 1 + r + r² P(r) for |r| ≤ ln 2 / 2, within 2e-7.
_E0, _E1, _E2 = np.float32(5.0000001201e-1), np.float32(1.6666665459e-1), np.float32(4.1665795894e-2)
_E3, _E4, _E5 = np.float32(8.3334519073e-3), np.float32(1.3981999507e-3), np.float32(1.9875691500e-4)
# Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964), 7.1.26: erf within 1.5e-7.
_A1, _A2, _A3 = np.float32(0.254829592), np.float32(-0.284496736), np.float32(1.421413741)
_A4, _A5, _P = np.float32(-1.453152027), np.float32(1.061405429), np.float32(0.3275911)
_ROOT_HALF = np.float32(0.70710678)
_END, _OF_END = np.float32(4.5), np.float32(1 / 4.5)
_G0, _G1, _G2 = np.float32(0.3987085819244385), np.float32(-1.3360399007797241), np.float32(3.9286699295043945)
_G3, _G4, _G5 = np.float32(-8.604825019836426), np.float32(13.655580520629883), np.float32(-15.090280532836914)
_G6, _G7, _G8 = np.float32(10.896385192871094), np.float32(-4.5853471755981445), np.float32(0.8482593894004822)
_LN_2 = 0.6931471805599453


@kernel
def exponential(x):
    """Return exp(x) of a float32 of 0 or less, within 2e-7 of itself; exp(-87) for what is smaller."""
    x = x if x > _SMALLEST else _SMALLEST
    n = floor(x * _LOG2_E + _HALF)
    r = x - n * _LN_2_HIGH
    r = r - n * _LN_2_LOW
    p = ((((_E5 * r + _E4) * r + _E3) * r + _E2) * r + _E1) * r + _E0
    return (p * (r * r) + r + _ONE) * power_of_two(n)


@kernel
def gelu(x):
    """Return x Φ(x) of a float32, within 1e-6 for values of a size that models have."""
    size = x if x > np.float32(0) else -x
    z = size * _ROOT_HALF
    t = divide(_ONE, _ONE + _P * z)
    p = ((((_A5 * t + _A4) * t + _A3) * t + _A2) * t + _A1) * t
    tail = _HALF * size * p * exponential(-(z * z))
    return x - tail if x > np.float32(0) else -tail


@kernel
def short_gelu(x):
    """Return x Φ(x) of a float32 within 7e-5, and above -0.17: enough for what will be bytes.

    Φ(x) - ½ is odd: x times a polynomial of x² between ±4.5, with the smallest largest error of x Φ(x) there (linear
    programming over 1,500 Chebyshev points, Φ(4.5) set to 1). Neither an exponential nor a division is needed.
    """
    t = x if x > -_END else -_END
    t = t if t < _END else _END
    u = t * _OF_END
    s = u * u
    p = ((((((((_G8 * s + _G7) * s + _G6) * s + _G5) * s + _G4) * s + _G3) * s + _G2) * s) + _G1) * s + _G0
    return x * (t * p + _HALF)


@kernel
def log1p_of(values, out):
    """Set out to log(1 + v) of each value, 0 or more. values, out: float32 (n). Each is correctly rounded but for ties.

    In float64: 1 + v = 2ⁿ m with m between √½ and √2, and log m = 2 artanh((m - 1) / (m + 1)).
    """
    for i in range(values.size):
        m = 1.0 + np.float64(values[i])
        n = 0.0
        while m > 1.4142135623730951:
            m = m * 0.5
            n = n + 1.0
        s = (m - 1.0) / (m + 1.0)
        square = s * s
        total = 0.0
        for j in range(10, -1, -1):
            total = total * square + 1.0 / (2 * j + 1)
        out[i] = np.float32(n * _LN_2 + 2.0 * s * total)
