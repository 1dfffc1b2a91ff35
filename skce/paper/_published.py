"""The numbers that Dunne & Campbell print in tables 1 to 6.

The keys are the names of the pairs; y is the paper's z*.
"""

__all__ = [
    "DERIVED_DELTA",
    "LOGISTIC_CE",
    "LOGISTIC_LS",
    "PRINTED_DELTA",
    "PUBLISHED_RATES",
    "PUBLISHED_TABLE_2",
    "PUBLISHED_TABLE_3",
    "SOFTMAX_CE",
    "SOFTMAX_LS",
]

LOGISTIC_LS = "logistic x least_squares"
LOGISTIC_CE = "logistic x cross_entropy"
SOFTMAX_LS = "softmax x least_squares"
SOFTMAX_CE = "softmax x cross_entropy"

# Delta as printed in table 1, with y for the paper's z*
PRINTED_DELTA = {
    LOGISTIC_LS: ("(y - t) (y - y^2)", lambda t, y: (y - t) * (y - y**2)),
    LOGISTIC_CE: ("y - t", lambda t, y: y - t),
    SOFTMAX_LS: (
        "y^2 - t y - y sum(t y - y^2)",
        lambda t, y: y**2 - t * y - y * (t * y - y**2).sum(axis=0),
    ),
    SOFTMAX_CE: ("y - t", lambda t, y: y - t),
}
# ... and as the derivation gives it, which central differences confirm
DERIVED_DELTA = PRINTED_DELTA | {
    LOGISTIC_CE: ("t (y - 1)", lambda t, y: t * (y - 1)),
    SOFTMAX_LS: (
        "y^2 - t y + y sum(t y - y^2)",
        lambda t, y: y**2 - t * y + y * (t * y - y**2).sum(axis=0),
    ),
}
# Mean and variance of (4) in table 2
PUBLISHED_TABLE_2 = {
    LOGISTIC_LS: (4.621323, 0.3146437),
    SOFTMAX_LS: (4.003461, 0.2315692),
    SOFTMAX_CE: (3.936804, 0.1958714),
}
PUBLISHED_TABLE_3 = (
    (0.7079, 0.1335, 0.1335, 0.0252),
    (0.1335, 0.7079, 0.0252, 0.1335),
    (0.1335, 0.0252, 0.7079, 0.1335),
    (0.0252, 0.1335, 0.1335, 0.7079),
)
# Tables 4, 6 and 5: a row per true class, a column per predicted class
PUBLISHED_RATES = {
    LOGISTIC_LS: (
        (0.7001, 0.1387, 0.1336, 0.0276),
        (0.1450, 0.6824, 0.0243, 0.1483),
        (0.1350, 0.0289, 0.6999, 0.1362),
        (0.0344, 0.1383, 0.1398, 0.6875),
    ),
    SOFTMAX_LS: (
        (0.7068, 0.1397, 0.1274, 0.0261),
        (0.1373, 0.6958, 0.0241, 0.1428),
        (0.1310, 0.0261, 0.7039, 0.1390),
        (0.0317, 0.1349, 0.1324, 0.7010),
    ),
    SOFTMAX_CE: (
        (0.7046, 0.1376, 0.1318, 0.0260),
        (0.1333, 0.6981, 0.0246, 0.1440),
        (0.1302, 0.0265, 0.7055, 0.1378),
        (0.0297, 0.1343, 0.1335, 0.7025),
    ),
}
