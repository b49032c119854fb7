"""Vectors of wecom-api C3 for other receivers than self-built apps, with Tencent's Token and key."""

T1 = (
    "eTPCdOF6oCRXxhc3zvquMIZoODjsBCcBLRQE+ZFyspA1F9xHoMb4aofIrN9Usqr4epXCGFGdoYnFnI8/q5i5rZFsPMMj1zfnz592C4vu"
    "GrV4LSu+yU9NkO0miSEHTIu3Pg8QQ2um0hDhrW7RNUOeYHg73fiHdBxUITqf2eGs1IGQss/RC2Jk3oVSuwItzGbRTRd3cM+ncmUgU0el"
    "yg8o6RDdkC7zS6vcXHau9kzodIuEHrvpAN+/mt14f6q9+P4Er2/POIPOw80PG85jb8IeU5K1uInkovJ92FttEL8crbT5rpYOHjIh8cPf"
    "2faTw6j/IfAAQ4fo7xGpQBxNO67fbA=="
)
T2 = "YSt8drpmnCyFpFQhaCYGJ6RyQYrMpXtAqhxG8XLFXSw18maGtbasl9dv9f4ggwtdchTX5sF1KgEPrwvo21HAuA=="
T3 = (
    "uG0x+UX4UsEl9oXHbHs26HCsQctMGIH0wAIVD4g6/K7Of9vvUKgAcoabFD3/BUTQR7huqM2JC1I180syXUZMD9KqlBefXTVke1xDZxaj"
    "GPoo/r9Hr52Q9QgkjhRJZ3nEw9wS1kQ/UMxWGmu5PQTXcvEgZREPJab2NUzLbVjpmhelyuiw6cHhXz04JHXTJLtz5hGEmj7/nfWhmVFe"
    "39LJUlxJdpLIBGDcm+crfAwzfkxTLDjVkJnB7KTuNbwsaK6oLmE84Ap9P+oNghB7XGbVUuGeSpqj2DfBxytrxxG16TQeLG7HvrbHlbEJ"
    "MwT/KKcEPY4p2M8cz0gnlXBGFKZjrkIKlCT4fv+NZlS1mi6BAKrugNsahP6cVXJ50g2yk2h1Cz169DoqJkNqGqg/Xr5tSiHi7VaX4w7U"
    "zhjABD8mau0="
)
"""A command to a suite, a verification for a provider, data of a corp that authorised the suite."""
ROBOT = (
    b'{"msgid":"m-5f2c","aibotid":"aib-7Qd","chattype":"single","from":{"userid":"T12345"},'
    b'"msgtype":"text","text":{"content":"hi"}}'
)
ROBOT_SEALED = (
    "rd8hHOYLtyckF/NrNHgAO5XCM+C7MgH0E+b6iBe9LD4TcRQuLAUf+SrT2gdGk4LAogfQXUeWu6Fp4ZQi5bZ87sBrSHbtH2h5Y0O5"
    "xYFhPub0rTtZDMoI/4pp3YfSUU9J0uczMfTEBv/oXytZNzWW0Bupdo+jZ0gJ15eJqAMJ1/qgjT0ZXRJ4y/vuwRp5lHtRUfhwfLbB"
    "0RvS8hQe8Fm8Pg=="
)
"""Computed with openssl (wecom-api C3, T4)."""
