"""Models with 8-bit weights, for writing on CPUs: nothing that trains or computes in floats imports this folder, whose
loops are compiled by numba when they are first imported.

    vectors    products of whole numbers, as instructions of the processor
    product    rows times a matrix; how it is proved to be exact
    team       loops that several threads share
    kernels    what a model computes between its products
    matrix     a matrix as 8-bit numbers
    decoder, lstm    the models, made of saved ones
"""
