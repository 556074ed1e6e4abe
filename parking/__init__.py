"""Parking: plates, places, tariffs and the stays of vehicles."""
