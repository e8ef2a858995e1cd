"""What a person does with the program, scene by scene, for `tests.hostile.soak`."""
