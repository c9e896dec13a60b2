"""What generative methods share: priors, bundles of weights, models, training.

A method of this kind renders a face by a StyleGAN2 decoder that blends in features of the original
and hides bits in the pixels (`anonbench.nets.fusion`). Its package says what is its own: where new
identities come from, what is hidden, which losses train it.
"""
