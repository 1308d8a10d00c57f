"""How the Taxi and Limousine Commission wrote its files, by colour and year.

Taken from the published files with coordinates: yellow from January 2009 and green from August
2013, both to June 2016. What looks like a mistake here (a blank second line, columns that no header
names, a header that ends otherwise than its rows) is one that the real files make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = Literal["yellow", "green"]
Number = Literal["%.17g", "%.6f", "float32"]

COLOURS: tuple[Colour, ...] = ("yellow", "green")
FIRST_MONTH: dict[Colour, str] = {"yellow": "2009-01", "green": "2013-08"}
LAST_MONTH = "2016-06"

YELLOW_2009 = (
    "vendor_name,Trip_Pickup_DateTime,Trip_Dropoff_DateTime,Passenger_Count,Trip_Distance,"
    "Start_Lon,Start_Lat,Rate_Code,store_and_forward,End_Lon,End_Lat,Payment_Type,Fare_Amt,"
    "surcharge,mta_tax,Tip_Amt,Tolls_Amt,Total_Amt"
)
YELLOW_2010 = (
    "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,pickup_longitude,"
    "pickup_latitude,rate_code,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,"
    "payment_type,fare_amount,surcharge,mta_tax,tip_amount,tolls_amount,total_amount"
)
YELLOW_2015 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,"
    "pickup_longitude,pickup_latitude,{rate_code},store_and_fwd_flag,dropoff_longitude,"
    "dropoff_latitude,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
    "improvement_surcharge,total_amount"
)
GREEN = (
    "VendorID,lpep_pickup_datetime,Lpep_dropoff_datetime,Store_and_fwd_flag,RateCodeID,"
    "Pickup_longitude,Pickup_latitude,Dropoff_longitude,Dropoff_latitude,Passenger_count,"
    "Trip_distance,Fare_amount,Extra,MTA_tax,Tip_amount,Tolls_amount,Ehail_fee,"
)
GREEN_2013 = GREEN + "Total_amount,Payment_type,Trip_type "
GREEN_2015 = GREEN + "improvement_surcharge,Total_amount,Payment_type,Trip_type "


@dataclass(frozen=True)
class FileFormat:
    """How one month's file of one colour is written.

    `head` is everything before the first trip, line ends included. `payments` are the words for
    credit, cash, no charge and dispute. `improvement` tells whether the surcharge of 2015 has a
    column; `trip_type` whether green's last named column is filled in; `extra_columns` are empty
    ones after the last named column; `last_newline` whether the last trip's line ends.
    """

    colour: Colour
    head: str
    number: Number
    payments: tuple[str, str, str, str]
    vendors: tuple[str, str]
    improvement: bool = False
    trip_type: bool = False
    extra_columns: int = 0
    last_newline: bool = True
    line_end: str = "\r\n"
    flag_of_second_vendor: bool = True
    rate_and_tax: bool = True


CODES = ("1", "2", "3", "4")
NUMBERED = ("1", "2")


def file_format(colour: Colour, month: str) -> FileFormat:
    """Return the format of a month's file; `month` is like "2015-07".

    Raises ValueError for a month of which no file with coordinates was published.
    """
    if not FIRST_MONTH[colour] <= month <= LAST_MONTH:
        raise ValueError(
            f"there are no {colour} trips with coordinates for {month}: choose a month "
            f"from {FIRST_MONTH[colour]} to {LAST_MONTH}"
        )
    return _yellow(month) if colour == "yellow" else _green(month)


def _yellow(month: str) -> FileFormat:
    if month >= "2015":
        rate_code = "RateCodeID" if month < "2016" else "RatecodeID"
        head = YELLOW_2015.format(rate_code=rate_code) + "\r\n"
        return FileFormat(
            "yellow", head, "float32", CODES, NUMBERED, improvement=True, last_newline=False
        )
    words = ("CRD", "CSH", "NOC", "DIS")
    vendors = ("CMT", "VTS")
    if month >= "2014":
        head = YELLOW_2010.replace(",", ", ") + "\r\n\r\n"
        return FileFormat("yellow", head, "%.17g", words, vendors, flag_of_second_vendor=False)
    if month >= "2010":
        head = YELLOW_2010 + "\r\n\r\n"
        return FileFormat("yellow", head, "%.6f", words, vendors, flag_of_second_vendor=False)
    words = ("Credit", "CASH", "No Charge", "Dispute")
    return FileFormat(
        "yellow",
        YELLOW_2009 + "\n\n",
        "%.17g",
        words,
        vendors,
        line_end="\n",
        flag_of_second_vendor=False,
        rate_and_tax=False,
    )


def _green(month: str) -> FileFormat:
    if month >= "2016":
        head, extra = GREEN_2015 + "\n\r\n", 0
    elif month >= "2015-07":
        head, extra = GREEN_2015 + "\r\n", 0
    elif month >= "2015":
        head, extra = GREEN_2015 + "\r\n", 2
    elif month >= "2014":
        head, extra = GREEN_2013 + "\n\n\r\n", 2
    else:
        head, extra = GREEN_2013 + "\n\r\n", 2
    return FileFormat(
        "green",
        head,
        "float32",
        CODES,
        NUMBERED,
        improvement=month >= "2015",
        trip_type=month >= "2014",
        extra_columns=extra,
    )
