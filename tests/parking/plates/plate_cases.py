"""Plates of every format, for several tests: as typed, compact, as written and of which kind."""

from parking.plates import PlateKind as Kind

# Every one is a plate that can have been issued; none belongs to somebody we know.
CASES: list[tuple[str, str, str, Kind]] = [
    ("30A-123.45", "30A12345", "30A-123.45", Kind.CAR),
    ("30 a 123 45", "30A12345", "30A-123.45", Kind.CAR),
    ("29a-1234", "29A1234", "29A-1234", Kind.CAR),
    ("29O-1234", "29O1234", "29O-1234", Kind.CAR),  # letters of before 2010
    ("80A-919.99", "80A91999", "80A-919.99", Kind.CAR),
    ("29AA 123.45", "29AA12345", "29AA 123.45", Kind.MOTORBIKE),
    ("29AR 123.45", "29AR12345", "29AR 123.45", Kind.MOTORBIKE),
    ("50HA 6666", "50HA6666", "50HA 6666", Kind.MOTORBIKE),
    ("29-B1 123.45", "29B112345", "29-B1 123.45", Kind.MOTORBIKE),
    ("29B1-12345", "29B112345", "29-B1 123.45", Kind.MOTORBIKE),
    ("29-B1 1234", "29B11234", "29-B1 1234", Kind.MOTORBIKE),
    ("53-R5 0201", "53R50201", "53-R5 0201", Kind.MOTORBIKE),
    ("29-MĐ1 013.53", "29MĐ101353", "29-MĐ1 013.53", Kind.ELECTRIC_MOTORBIKE),
    ("29MĐ 123.45", "29MĐ12345", "29-MĐ 123.45", Kind.ELECTRIC_MOTORBIKE),
    ("30LD-044.11", "30LD04411", "30LD-044.11", Kind.SPECIAL),
    ("30KT-1234", "30KT1234", "30KT-1234", Kind.SPECIAL),
    ("29DA-123.45", "29DA12345", "29DA-123.45", Kind.SPECIAL),
    ("29HC-123.45", "29HC12345", "29HC-123.45", Kind.SPECIAL),
    ("29CD-123.45", "29CD12345", "29CD-123.45", Kind.SPECIAL),
    ("14MK1/234.56", "14MK123456", "14MK1-234.56", Kind.SPECIAL),
    ("50TĐ-821.08", "50TĐ82108", "50TĐ-821.08", Kind.SPECIAL),
    ("74LB-123.45", "74LB12345", "74LB-123.45", Kind.SPECIAL),
    ("51R-141.39", "51R14139", "51R-141.39", Kind.TRAILER),
    ("15RM-012.34", "15RM01234", "15RM-012.34", Kind.TRAILER),
    ("80-011-NG-01", "80011NG01", "80-011-NG-01", Kind.FOREIGN),
    ("80-NN-168-06", "80NN16806", "80-NN-168-06", Kind.FOREIGN),
    ("41-291-CV-001", "41291CV001", "41-291-CV-001", Kind.FOREIGN),
    ("80-QT-546-042", "80QT546042", "80-QT-546-042", Kind.FOREIGN),
    ("TM 12-34", "TM1234", "TM 12-34", Kind.MILITARY),
    ("AA 123", "AA123", "AA 123", Kind.MILITARY),
    ("TM 12-34 BM", "TM1234BM", "TM 12-34 BM", Kind.MILITARY),
    ("T12-34567", "T1234567", "T12-34567", Kind.TEMPORARY),
]
