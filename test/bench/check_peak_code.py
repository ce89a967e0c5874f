"""Whether the loops that measure the peak are what they are timed for: check_peak_code.py OBJDUMP LIBRARY
Every function of multiply-adds has its chains in registers of its instruction set, each a register of its own."""
import platform
import re
import subprocess
import sys

CHAINS = 12
REGISTERS = {"multiply_adds_avx2": "ymm", "multiply_adds_avx512": "zmm"}


def instructions(text, function):
    body = re.search(r"^[0-9a-f]+ <\S*" + function + r"\S*>:\n(.*?)(?:\n\n|\Z)", text, re.S | re.M)
    return [line.split("\t")[-1] for line in body.group(1).splitlines()] if body else []


def main():
    objdump, library = sys.argv[1:]
    text = subprocess.run([objdump, "-d", library], capture_output=True, text=True, check=True).stdout
    found = 0
    for function, register in REGISTERS.items():
        code = instructions(text, function)
        if not code:
            continue
        found += 1
        sums = {i.split("%")[-1] for i in code if i.startswith("vfmadd") and "(" not in i and "%" + register in i}
        if len(sums) < CHAINS:
            sys.exit(f"{function}: {len(sums)} of {CHAINS} chains are in {register} registers")
    if platform.machine() == "x86_64" and found < len(REGISTERS):
        sys.exit(f"{found} of {len(REGISTERS)} functions are in {library}")
    print(f"{found} loops have {CHAINS} chains in registers")


main()
