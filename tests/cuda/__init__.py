"""What must hold on a GPU: `pytest -m cuda`. Without one the same tests run on a stand-in (`stand_in`)."""
