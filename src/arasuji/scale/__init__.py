"""Beyond one machine: cleaning as a pipeline of datatrove (`arasuji.scale.datatrove`)."""
