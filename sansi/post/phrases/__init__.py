"""The phrases, with choices and slots, that requests are drawn from: what strangers type into a chat."""
