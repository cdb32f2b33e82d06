"""The only pictures: heat maps, marks, views from above."""
