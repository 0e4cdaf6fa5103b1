"""What it costs to notice changes of GPUs: `./bazelw run //:bench_look`."""
