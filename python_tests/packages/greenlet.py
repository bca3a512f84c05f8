import extensions
import greenlet


def count(limit):
    for number in range(limit):
        greenlet.getcurrent().parent.switch(number)
    raise LookupError("no more")


one = greenlet.greenlet(count)
print([one.switch(2), one.switch()])
try:
    one.switch()
except LookupError as error:
    print(error, one.dead)
two = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch("waits"))
print(two.switch())
try:
    two.throw(KeyError, "thrown")
except KeyError as error:
    print(error)
extensions.show(greenlet._greenlet)
