#!/usr/bin/python3
"""Usage: scripts/check-pointers.py FILE...

Pointers are compared with NULL by name: `p == NULL`, not `!p`.  What is a pointer is known from the declarations:
parameters and variables of the function, and members that are pointers in each structure that has one of the name.
"""

import re
import sys

FUNCTION = re.compile(r"^(?!\s)[\w \t\n*]*?\b\w+\(((?:[^;{}()]|\([^()]*\))*)\)\s*\n\{\n(.*?)^\}", re.S | re.M)
STRUCTURE = re.compile(r"\b(?:struct|union)\s*\w*\s*\{(.*?)\n\s*\}", re.S)
MEMBERS = re.compile(r"\s*(?:(?:const|unsigned|struct|enum|_Atomic) )*\w+(?: const)?\s+"
                     r"(\**\w+(?:\[[^\]]*\])*(?:\s*,\s*\**\w+(?:\[[^\]]*\])*)*)\s*(?::\s*\d+)?$")
VARIABLES = re.compile(r"^\s+(?:(?:static|const|unsigned|struct|enum|union) )*\w+(?: const)? (\*[^;]*);", re.M)
NEGATED = re.compile(r"(?<![\w)\]])!\s*((?:\w+(?:->|\.))*)(\w+)(?![\w(\[]|->|\.)")
ALONE = re.compile(r"(?:\b(?:if|while) \(|&& |\|\| |(?<!\w)\()((?:\w+(?:->|\.))*)(\w+)"
                   r"(?= &&| \|\|| \?|\)$|\)\s*(?:\{|return|break|continue|goto))")


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def read(path):
    """The text without comments, strings and what is for the preprocessor; lines stay where they are."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", blank, file.read(), flags=re.S)
    text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", blank, text, flags=re.M)
    return re.sub(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\])'", '""', text)


def pointer_members(texts):
    """Names that are pointers in every structure that has such a member."""
    pointers, others = set(), set()
    for text in texts:
        for body in STRUCTURE.findall(text):
            for line in body.split(";"):
                match = MEMBERS.match(line.replace("\n", " "))
                for one in match[1].split(",") if match else []:
                    name = re.sub(r"[*\s]|\[.*", "", one)
                    (pointers if "*" in one and "[" not in one else others).add(name)
    return pointers - others


def pointer_names(parameters, body):
    """Parameters and variables of a function that are pointers."""
    names = {match[1] for one in re.split(r",(?![^()]*\))", parameters)
             for match in [re.match(r".*\*\s*(?:const\s+)?(\w+)$", one.strip().replace("\n", " "))] if match}
    for match in VARIABLES.finditer(body):
        names |= set(re.findall(r"(?:^|, )\*+(\w+)", re.sub(r"\([^()]*\)", "", match[1])))
    return names


def faults(path, text, members):
    for function in FUNCTION.finditer(text):
        names = pointer_names(function[1], function[2])
        first = text.count("\n", 0, function.start(2)) + 1
        for number, line in enumerate(function[2].split("\n"), first):
            for wrong, pattern in (("!", NEGATED), ("", ALONE)):
                for match in pattern.finditer(line):
                    if match[2] in (members if match[1] else names):
                        yield f"{path}:{number}: {wrong}{match[1]}{match[2]}: compare it with NULL"


def main(*paths):
    texts = {path: read(path) for path in paths}
    members = pointer_members(texts.values())
    found = [fault for path, text in texts.items() for fault in faults(path, text, members)]
    print("\n".join(found) if found else f"check-pointers: ok, {len(members)} members known")
    return 1 if found or not members else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
